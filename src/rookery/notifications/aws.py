"""AWS: a bucket's whole configuration is one document; what is not ours in it stays."""

from collections.abc import Collection, Iterable

from rookery.notifications.boto_errors import translated
from rookery.notifications.capabilities import AWS
from rookery.notifications.connection import Connection, s3_client
from rookery.notifications.difference import Difference, NotificationChange
from rookery.notifications.notification import Existing
from rookery.notifications.s3_configuration import (
    Configuration,
    Entry,
    read_configuration,
    write_entry,
)


class AwsNotifications:
    """The notifications of S3: to SQS queues, and to EventBridge."""

    def __init__(self, connection: Connection) -> None:
        """Use *connection*; nothing is asked yet.

        Raises:
            SettingsInvalid: no client can be made from it.
        """
        self._connection = connection
        self._s3 = s3_client(connection)

    def read(self, buckets: Collection[str] | None, topics: Collection[str] = ()) -> Existing:
        """Return what there is, as the port says; there are no topics."""
        del topics
        names = self._buckets() if buckets is None else buckets
        found = [one for name in sorted(names) for one in read_configuration(name, self._get(name))]
        return Existing(AWS, tuple(found))

    def write(self, difference: Difference) -> None:
        """Make the changes, as the port says: one request for each bucket."""
        for bucket in sorted({change.bucket for change in difference.notifications}):
            configuration = self._get(bucket)
            for change in difference.notifications:
                if change.bucket == bucket:
                    _edit(configuration, change)
            with translated(f"the notifications of bucket {bucket!r}", self._connection):
                self._s3.put_bucket_notification_configuration(
                    Bucket=bucket, NotificationConfiguration=configuration
                )

    def _buckets(self) -> Iterable[str]:
        with translated("the list of buckets", self._connection):
            return [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]

    def _get(self, bucket: str) -> Configuration:
        with translated(f"bucket {bucket!r}", self._connection):
            found = self._s3.get_bucket_notification_configuration(Bucket=bucket)
        found.pop("ResponseMetadata", None)
        return found


def _edit(configuration: Configuration, change: NotificationChange) -> None:
    """Take out what *change* replaces or removes, and put in what it wants."""
    before_and_after = (*change.before, *((change.after,) if change.after else ()))
    if any(one.target.kind == "eventbridge" for one in before_and_after):
        configuration.pop("EventBridgeConfiguration", None)
        if change.after is not None:
            configuration["EventBridgeConfiguration"] = {}
        return
    for entries in _lists(configuration):
        entries[:] = [entry for entry in entries if entry.get("Id") != change.id]
    if change.after is not None:
        queues = configuration.setdefault("QueueConfigurations", [])
        queues.append(write_entry(change.after, change.after.target.name))


def _lists(configuration: Configuration) -> tuple[list[Entry], ...]:
    return (
        configuration.get("TopicConfigurations", []),
        configuration.get("QueueConfigurations", []),
        configuration.get("LambdaFunctionConfigurations", []),
    )
