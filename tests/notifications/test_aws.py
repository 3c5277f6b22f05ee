"""The shape that AWS wants, against moto: a fake of AWS, not AWS."""

import json
import uuid

import boto3
import pytest

from rookery.errors import NotificationsRefused
from rookery.notifications.aws import AwsNotifications
from rookery.notifications.connection import Connection
from rookery.notifications.difference import to_apply, to_remove
from rookery.notifications.document import read_wanted


@pytest.fixture
def connection(storage):
    client = storage.client
    return Connection(
        client["endpoint_url"],
        client["region_name"],
        client["aws_access_key_id"],
        client["aws_secret_access_key"],
    )


@pytest.fixture
def s3(storage):
    return boto3.client("s3", **storage.client)


@pytest.fixture
def queue(storage):
    """The ARN of a new queue."""

    def make():
        name = f"queue-{uuid.uuid4().hex}"
        boto3.client("sqs", **storage.client).create_queue(QueueName=name)
        return f"arn:aws:sqs:us-east-1:123456789012:{name}"

    return make


@pytest.fixture
def bucket(s3):
    name = f"bucket-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def apply(connection):
    def run(*entries, remove=False, prune=False):
        wanted = read_wanted(json.dumps({"notifications": list(entries)}), {})
        store = AwsNotifications(connection)
        change = to_remove if remove else to_apply
        difference = change(wanted, store.read(wanted.buckets), prune=prune)
        store.write(difference)
        return difference

    return run


def configuration(s3, bucket):
    found = s3.get_bucket_notification_configuration(Bucket=bucket)
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def test_a_queue_is_configured_and_a_second_apply_changes_nothing(apply, s3, bucket, queue):
    arn = queue()
    entry = {
        "name": "n",
        "bucket": bucket,
        "queue": arn,
        "filter": {"prefix": "in/", "suffix": ".jpg"},
    }
    assert not apply(entry).is_empty
    assert apply(entry).is_empty

    (one,) = configuration(s3, bucket)["QueueConfigurations"]
    assert (one["Id"], one["QueueArn"], one["Events"]) == ("n", arn, ["s3:ObjectCreated:*"])
    rules = {rule["Name"].lower(): rule["Value"] for rule in one["Filter"]["Key"]["FilterRules"]}
    assert rules == {"prefix": "in/", "suffix": ".jpg"}


def test_what_the_file_does_not_name_is_kept(apply, s3, bucket, queue):
    foreign = {"Id": "foreign", "QueueArn": queue(), "Events": ["s3:ObjectCreated:Put"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [foreign]},
    )
    entry = {"name": "n", "bucket": bucket, "queue": queue()}

    apply(entry)
    assert {one["Id"] for one in configuration(s3, bucket)["QueueConfigurations"]} == {
        "foreign",
        "n",
    }

    apply(entry, remove=True)
    (one,) = configuration(s3, bucket)["QueueConfigurations"]
    assert (one["Id"], one["Events"]) == ("foreign", ["s3:ObjectCreated:Put"])


def test_another_queue_replaces_the_one_before(apply, s3, bucket, queue):
    old, new = queue(), queue()
    apply({"name": "n", "bucket": bucket, "queue": old})
    apply({"name": "n", "bucket": bucket, "queue": new})
    (one,) = configuration(s3, bucket)["QueueConfigurations"]
    assert one["QueueArn"] == new


def test_pruning_takes_what_the_file_does_not_name(apply, s3, bucket, queue):
    apply({"name": "foreign", "bucket": bucket, "queue": queue()})
    apply({"name": "n", "bucket": bucket, "queue": queue()}, prune=True)
    assert [one["Id"] for one in configuration(s3, bucket)["QueueConfigurations"]] == ["n"]


class S3OfEventBridge:
    """Keeps a bucket's whole configuration, as AWS documents it; moto forgets this part."""

    def __init__(self):
        self.configuration = {}
        self.puts = 0

    def get_bucket_notification_configuration(self, *, Bucket):  # noqa: N803
        assert Bucket == "images"
        return {**self.configuration, "ResponseMetadata": {"HTTPHeaders": {}}}

    def put_bucket_notification_configuration(self, *, Bucket, NotificationConfiguration):  # noqa: N803
        assert Bucket == "images"
        self.configuration = NotificationConfiguration
        self.puts += 1


@pytest.fixture
def eventbridge(monkeypatch):
    fake = S3OfEventBridge()
    monkeypatch.setattr("rookery.notifications.aws.s3_client", lambda _: fake)
    return fake


def test_eventbridge_is_switched_on_once_and_off(eventbridge, apply):
    entry = {"bucket": "images", "eventbridge": True}
    function = {"Id": "f", "LambdaFunctionArn": "arn:f", "Events": ["s3:ObjectCreated:*"]}
    eventbridge.configuration = {"LambdaFunctionConfigurations": [function]}

    apply(entry)
    assert apply(entry).is_empty
    assert eventbridge.puts == 1
    assert eventbridge.configuration["EventBridgeConfiguration"] == {}

    apply(entry, remove=True)
    assert eventbridge.configuration == {"LambdaFunctionConfigurations": [function]}


def test_pruning_switches_eventbridge_off(eventbridge, apply):
    eventbridge.configuration = {"EventBridgeConfiguration": {}}
    arn = "arn:aws:sqs:us-east-1:123456789012:q"

    apply({"name": "n", "bucket": "images", "queue": arn}, prune=True)

    assert list(eventbridge.configuration) == ["QueueConfigurations"]


def test_every_bucket_is_listed(connection, apply, bucket, queue):
    apply({"name": "n", "bucket": bucket, "queue": queue()})
    found = AwsNotifications(connection).read(None).notifications
    assert [one.id for one in found if one.bucket == bucket] == ["n"]


def test_a_bucket_that_is_missing_is_named(apply, queue):
    with pytest.raises(NotificationsRefused, match=r"bucket 'nope-\d'.*aws s3 mb"):
        apply({"name": "n", "bucket": "nope-1", "queue": queue()})


def test_what_aws_says_of_a_queue_that_it_may_not_send_to_is_told(scripted_server):
    said = "Unable to validate the following destination configurations"
    refusal = f"<Error><Code>InvalidArgument</Code><Message>{said}</Message></Error>"
    server = scripted_server(
        answer("200 OK", "<NotificationConfiguration/>"),
        answer("200 OK", "<NotificationConfiguration/>"),
        answer("400 Bad Request", refusal),
    )
    arn = "arn:aws:sqs:us-east-1:123456789012:q"
    entry = {"name": "n", "bucket": "images", "queue": arn}
    store = AwsNotifications(Connection(server.url, "us-east-1", "key", "do-not-tell"))
    wanted = read_wanted(json.dumps({"notifications": [entry]}), {})

    with pytest.raises(
        NotificationsRefused, match=rf"InvalidArgument, HTTP 400\): {said}"
    ) as caught:
        store.write(to_apply(wanted, store.read(["images"])))

    assert "do-not-tell" not in str(caught.value)


def answer(status, body):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()
