"""Against a real Ceph: the package's, 16.2 on Debian 12."""

import json
from dataclasses import dataclass, replace

import pytest
from botocore.client import BaseClient

from rookery.errors import NotificationsRefused, StorageDenied, StorageUnavailable
from rookery.notifications.ceph import CephNotifications
from rookery.notifications.connection import Connection
from rookery.notifications.difference import to_apply, to_remove
from rookery.notifications.document import read_wanted
from rookery.notifications.ensure import ensure

# One Ceph for all of them.
pytestmark = [pytest.mark.xdist_group("ceph"), pytest.mark.end_to_end]


@dataclass
class Bucket:
    """A bucket of its own, and an endpoint to push to."""

    name: str
    url: str
    connection: Connection
    s3: BaseClient

    def entry(self, **fields):
        return {"name": self.name, "bucket": self.name, "endpoint": f"{self.url}/"} | fields

    def apply(self, *entries, remove=False, prune=False):
        """Apply a file with *entries*; return what was done."""
        wanted = read_wanted(json.dumps({"notifications": list(entries)}), {})
        store = CephNotifications(self.connection)
        buckets = None if remove else wanted.buckets
        existing = store.read(buckets, [topic.name for topic in wanted.topics])
        change = to_remove if remove else to_apply
        difference = change(wanted, existing, prune=prune)
        store.write(difference)
        return difference

    def put(self, key, **options):
        return self.s3.put_object(Bucket=self.name, Key=key, Body=b"x", **options)

    @property
    def ids(self):
        found = self.s3.get_bucket_notification_configuration(Bucket=self.name)
        return [one["Id"] for one in found.get("TopicConfigurations", [])]


@pytest.fixture
def at(radosgw, s3, bucket, receiver):
    return Bucket(bucket, receiver.url, radosgw, s3)


def signs(difference):
    return "".join(change.sign for change in (*difference.topics, *difference.notifications))


def test_an_upload_reaches_the_endpoint(at, receiver):
    assert signs(at.apply(at.entry())) == "++"
    etag = at.put("a dir/é+%20 x.jpg")["ETag"]

    (record,) = receiver.records
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["object"]["key"] == "a dir/é+%20 x.jpg"
    assert f'"{record["s3"]["object"]["eTag"]}"' == etag


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"persistent": True},
        {"cloudevents": True, "verify_ssl": False, "opaque": 'a b+c&d="é"%20\n{}'},
        {"filter": {"prefix": "é/&<", "suffix": ".jpg", "regex": ".*x.*"}},
        {"filter": {"metadata": {"kind": "a photo"}, "tags": {"team": "zoo"}}},
        {"events": ["s3:ObjectCreated:Put", "s3:ObjectCreated:CompleteMultipartUpload"]},
        {"persistent": True, "time_to_live": 60, "max_retries": 3, "retry_sleep_duration": 1},
        {"endpoint": "amqp://127.0.0.1:9/vhost", "exchange": "e", "ack": "routable"},
        {"endpoint": "kafka://127.0.0.1:9", "ack": "broker", "use_ssl": True},
        {"endpoint": "http://127.0.0.1:9/p?a=1&b=%20c"},
    ],
)
def test_a_second_apply_changes_nothing(at, fields):
    assert signs(at.apply(at.entry(**fields))) == "++"
    assert at.apply(at.entry(**fields)).is_empty


def test_after_a_change_only_the_new_endpoint_is_sent_to(at, receiver):
    at.apply(at.entry(endpoint=f"{at.url}/old"))
    assert signs(at.apply(at.entry(endpoint=f"{at.url}/new"))) == "~~"

    at.put("x.jpg")

    assert receiver.paths == ["/new"]


def test_another_topic_replaces_the_one_before(at, receiver):
    at.apply(at.entry(endpoint=f"{at.url}/old"))
    at.apply(at.entry(endpoint=f"{at.url}/new", topic=f"{at.name}-2"))

    at.put("x.jpg")

    assert receiver.paths == ["/new"]
    assert at.ids == [at.name]


def test_two_topics_under_one_id_are_mended(at, sns, receiver):
    # What re-putting a configuration by hand leaves behind.
    at.apply(at.entry(endpoint=f"{at.url}/ours"))
    arn = sns.create_topic(Name=f"{at.name}-0", Attributes={"push-endpoint": f"{at.url}/theirs"})[
        "TopicArn"
    ]
    at.s3.put_bucket_notification_configuration(
        Bucket=at.name,
        NotificationConfiguration={
            "TopicConfigurations": [
                {"Id": at.name, "TopicArn": arn, "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )

    assert signs(at.apply(at.entry(endpoint=f"{at.url}/ours"))) == "~"
    at.put("x.jpg")

    assert receiver.paths == ["/ours"]


def test_a_topic_changed_by_hand_is_found_in_the_copy(at, sns, receiver):
    at.apply(at.entry(endpoint=f"{at.url}/old"))
    sns.create_topic(Name=at.name, Attributes={"push-endpoint": f"{at.url}/new"})

    # The topic is as wanted; the notification still pushes to its copy.
    difference = at.apply(at.entry(endpoint=f"{at.url}/new"))
    at.put("x.jpg")

    assert receiver.paths == ["/new"]
    assert [change.sign for change in difference.notifications] == ["~"]
    assert at.apply(at.entry(endpoint=f"{at.url}/new")).is_empty


@pytest.mark.parametrize(
    ("found", "uploads", "keys"),
    [
        ({"prefix": "in/"}, ["in/a.jpg", "out/a.jpg"], ["in/a.jpg"]),
        ({"suffix": ".jpg"}, ["a.jpg", "a.png"], ["a.jpg"]),
        ({"prefix": "in/", "suffix": ".jpg"}, ["in/a.jpg", "in/a.png", "b.jpg"], ["in/a.jpg"]),
        ({"regex": r"(?:in|out)/[\w-]+\.jpe?g"}, ["in/a-b.jpeg", "in/.jpg"], ["in/a-b.jpeg"]),
        ({"regex": r"\d{2,4}|[a-c]+x*?"}, ["123", "1", "abcxx", "x"], ["123", "abcxx"]),
    ],
)
def test_only_what_passes_the_filter_is_sent(at, receiver, found, uploads, keys):
    at.apply(at.entry(filter=found))
    for key in uploads:
        at.put(key)
    assert receiver.keys == keys


def test_metadata_and_tags_filter(at, receiver):
    at.apply(at.entry(filter={"metadata": {"kind": "photo"}, "tags": {"team": "zoo"}}))
    at.put("neither")
    at.put("one", Metadata={"kind": "photo"})
    at.put("both", Metadata={"kind": "photo"}, Tagging="team=zoo")
    assert receiver.keys == ["both"]


def test_opaque_data_arrives_as_it_is(at, receiver):
    opaque = '{"note": "a b+c&d=e%20é<>\\n"}\n'
    at.apply(at.entry(opaque=opaque))
    at.put("x.jpg")
    assert receiver.records[0]["opaqueData"] == opaque


def test_after_remove_nothing_is_sent(at, receiver, sns):
    at.apply(at.entry())
    assert signs(at.apply(at.entry(), remove=True)) == "--"

    at.put("x.jpg")

    assert receiver.records == []
    assert at.ids == []
    arns = [topic["TopicArn"] for topic in sns.list_topics().get("Topics", [])]
    assert [arn for arn in arns if at.name in arn] == []


def test_removing_what_is_not_there_does_nothing(at):
    assert at.apply(at.entry(), remove=True).is_empty


def test_a_topic_that_another_notification_uses_is_kept(at, receiver):
    ours, other = at.entry(topic=at.name), at.entry(topic=at.name, name=f"{at.name}-other")
    at.apply(ours, other)

    assert signs(at.apply(ours, remove=True)) == "-"
    at.put("x.jpg")

    assert len(receiver.records) == 1


def test_what_the_file_does_not_name_is_kept(at):
    at.apply(at.entry(name=f"{at.name}-foreign", filter={"prefix": "f/"}))
    at.apply(at.entry())
    at.apply(at.entry(), remove=True)
    assert at.ids == [f"{at.name}-foreign"]


def test_what_the_file_does_not_name_is_pruned_when_told_to(at):
    at.apply(at.entry(name=f"{at.name}-foreign"))
    difference = at.apply(at.entry(), prune=True)
    assert difference.removes_foreign
    assert at.ids == [at.name]


def test_a_persistent_notification_comes_after_the_upload(at, receiver, wait_long):
    at.apply(at.entry(persistent=True))
    at.put("x.jpg")
    wait_long(lambda: bool(receiver.records), "the persistent notification")
    assert receiver.keys[0] == "x.jpg"


def test_what_up_needs_is_made_sure_of_once(at, receiver):
    def make():
        return ensure(at.connection, at.name, name=at.name, endpoint=at.url, persistent=False)

    made = make()
    at.put("x.jpg")

    assert made[0] == f"+ topic {at.name}"
    assert make() == ()
    assert receiver.keys == ["x.jpg"]


def test_a_bucket_that_is_missing_is_named(at):
    with pytest.raises(NotificationsRefused, match=r"bucket 'nope-\d+'.*aws s3 mb"):
        at.apply(at.entry(bucket="nope-1"))


def test_an_event_that_this_ceph_does_not_know_is_refused(at):
    with pytest.raises(NotificationsRefused, match=rf"refuses notification {at.name}/.*Invalid"):
        at.apply(at.entry(events=["s3:ObjectLifecycle:Expiration:Current"]))


def test_a_password_is_refused_without_https_and_not_told(at):
    url = "amqp://user:do-not-tell@127.0.0.1:9/vhost"
    with pytest.raises(NotificationsRefused, match="over HTTPS alone") as caught:
        at.apply(at.entry(endpoint=url, exchange="e"))
    assert "do-not-tell" not in str(caught.value)


@pytest.mark.parametrize("part", ["access_key", "secret_key"])
def test_wrong_credentials_are_denied(at, radosgw, part):
    store = CephNotifications(replace(radosgw, **{part: "do-not-tell"}))
    with pytest.raises(StorageDenied, match="S3_ACCESS_KEY") as caught:
        store.read([at.name])
    assert "do-not-tell" not in str(caught.value)


def test_a_store_that_is_down_is_unavailable(unused_url):
    store = CephNotifications(Connection(unused_url, "default", "key", "do-not-tell"))
    with pytest.raises(StorageUnavailable, match=unused_url):
        store.read(["images"])


def test_the_release_is_not_told_by_16(at, radosgw):
    at.apply(at.entry())
    assert CephNotifications(radosgw).read([at.name]).capabilities.limits is False
