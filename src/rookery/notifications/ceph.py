"""Ceph: topics over SNS, notifications over S3, both at radosgw. Measured with 16.2.15."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from rookery.errors import NotificationsRefused, StorageDenied
from rookery.notifications import capabilities
from rookery.notifications.boto_errors import translated
from rookery.notifications.connection import Connection, s3_client, sns_client
from rookery.notifications.difference import Difference, NotificationChange
from rookery.notifications.notification import Existing, Notification, Target, Topic
from rookery.notifications.s3_configuration import read_configuration, write_entry
from rookery.notifications.topic_attributes import endpoint_of, read_topic, write_topic


class CephNotifications:
    """The notifications of one radosgw."""

    def __init__(self, connection: Connection) -> None:
        """Use *connection*; nothing is asked yet.

        Raises:
            SettingsInvalid: no client can be made from it.
        """
        self._connection = connection
        self._s3 = s3_client(connection)
        self._sns = sns_client(connection)
        self._server: str | None = None
        self._arns: dict[str, str] = {}

    def read(self, buckets: Collection[str] | None, topics: Collection[str] = ()) -> Existing:
        """Return what there is, as the port says; topics that are used are read too."""
        names = self._buckets() if buckets is None else buckets
        found = [one for name in sorted(names) for one in self._notifications(name)]
        self._arns = self._listed()
        used = {one.target.name for one in found if one.target.kind == "topic"}
        shown: list[Mapping[str, object]] = []
        read = {}
        for name in sorted({*topics, *used} & self._arns.keys()):
            there, topic = self._topic(name, self._arns[name], shown)
            if there:
                read[name] = topic
        copies = {}
        for one in found:
            if one.target.name in self._arns:
                arn = f"{self._prefix(one.target.name)}{one.id}_{one.target.name}"
                _, copy = self._topic(one.target.name, arn, shown)
                if copy is not None:
                    copies[one.id, one.target.name] = copy
        able = capabilities.of_ceph(self._server, shown)
        return Existing(able, tuple(found), read, copies)

    def write(self, difference: Difference) -> None:
        """Make the changes, as the port says.

        Topics first, as a notification copies its topic; a topic that goes goes last: while a
        notification leads to a persistent topic that is gone, Ceph refuses every PUT.
        """
        for change in difference.topics:
            if change.after is not None:
                self._create(change.after)
        for one in difference.notifications:
            self._change(one)
        for change in difference.topics:
            if change.after is None:
                with translated(f"deleting topic {change.name}", self._connection):
                    self._sns.delete_topic(TopicArn=self._arns[change.name])

    def _create(self, topic: Topic) -> None:
        place = f"topic {topic.name} to {topic.endpoint}"
        if topic.endpoint.has_secret:
            place += " (Ceph takes an endpoint with a password over HTTPS alone)"
        with translated(place, self._connection):
            made = self._sns.create_topic(Name=topic.name, Attributes=write_topic(topic))
        self._arns[topic.name] = made["TopicArn"]

    def _change(self, change: NotificationChange) -> None:
        place = f"notification {change.bucket}/{change.id}"
        after = change.after
        targets = {one.target for one in change.before}
        # Ceph puts in place what has the same topic, and adds what has another.
        if after is None or targets - {after.target}:
            for _ in change.before:
                with translated(f"deleting {place}", self._connection):
                    self._s3.delete_bucket_notification(
                        Bucket=change.bucket, NotificationId=change.id
                    )
        if after is not None:
            entry = write_entry(after, self._arns[after.target.name])
            with translated(place, self._connection):
                self._s3.put_bucket_notification_configuration(
                    Bucket=change.bucket,
                    NotificationConfiguration={"TopicConfigurations": [entry]},
                )

    def _buckets(self) -> Iterable[str]:
        with translated("the list of buckets", self._connection):
            return [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]

    def _notifications(self, bucket: str) -> Iterable[Notification]:
        with translated(f"bucket {bucket!r}", self._connection):
            answer = self._s3.get_bucket_notification_configuration(Bucket=bucket)
        self._server = answer["ResponseMetadata"]["HTTPHeaders"].get("server", self._server)
        for one in read_configuration(bucket, answer):
            yield replace(one, target=Target(one.target.kind, one.target.name.rpartition(":")[2]))

    def _listed(self) -> dict[str, str]:
        """Return ARNs by name: of topics, and where a notification outlived its topic, of it."""
        found: dict[str, str] = {}
        try:
            with translated("the list of topics", self._connection):
                for page in self._sns.get_paginator("list_topics").paginate():
                    for topic in page.get("Topics", []):
                        found[topic["TopicArn"].rpartition(":")[2]] = topic["TopicArn"]
        except KeyError as exc:  # botocore looks for it in whatever XML comes
            raise NotificationsRefused(
                f"{self._connection.store} answers the list of topics as no Ceph does ({exc} is "
                "missing); check S3_ENDPOINT_URL"
            ) from exc
        return found

    def _prefix(self, topic: str) -> str:
        return self._arns[topic].rpartition(":")[0] + ":"

    def _topic(
        self, name: str, arn: str, shown: list[Mapping[str, object]]
    ) -> tuple[bool, Topic | None]:
        """Return whether *arn* is there, and what it is where Ceph shows it."""
        try:
            with translated(f"topic {name}", self._connection):
                answer = self._sns.get_topic_attributes(TopicArn=arn)
        except NotificationsRefused:
            return False, None
        except StorageDenied:
            # It has a password, and this connection is not HTTPS.
            return True, None
        attributes: Mapping[str, str] = answer["Attributes"]
        shown.append(endpoint_of(attributes))
        return True, read_topic(name, attributes)
