"""The embedded S3 as its users see it: over HTTP, in a process of its own."""

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rookery.errors import SettingsInvalid, StorageDenied
from rookery.storage import embedded, s3

QUEUE = "/123456789012/images-events"


def receive(client, url, count):
    """Receive *count* notifications of objects; the suite's timeout ends a wait for ever."""
    records = []
    while len(records) < count:
        answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        for message in answer.get("Messages", []):
            records += json.loads(message["Body"]).get("Records", [])
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return records


@pytest.fixture
def queue(storage):
    """The queue of a new bucket's notifications, set up as on AWS."""

    def make():
        name = f"bucket-{uuid.uuid4()}"
        s3_client, sqs_client = (boto3.client(n, **storage.client) for n in ("s3", "sqs"))
        s3_client.create_bucket(Bucket=name)
        url = sqs_client.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
        s3_client.put_bucket_notification_configuration(
            Bucket=name,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
            },
        )
        return s3_client, sqs_client, name, url

    return make


@pytest.mark.parametrize("path", ["/health/liveness", "/health/readiness"])
def test_probes_need_no_credentials(storage, path):
    with urllib.request.urlopen(storage.url + path) as response:
        assert response.status == 200


def test_an_upload_is_announced_in_the_queue_it_starts_with(start_storage):
    storage = start_storage()
    boto3.client("s3", **storage.client).put_object(Bucket="images", Key="a b+é.jpg", Body=b"12345")

    (record,) = receive(boto3.client("sqs", **storage.client), storage.url + QUEUE, 1)

    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["bucket"]["name"] == "images"
    assert record["s3"]["object"]["key"] == "a+b%2B%C3%A9.jpg"


def test_uploads_and_deletes_from_many_threads_lose_no_notification(queue):
    s3_client, sqs_client, bucket, url = queue()
    keys = {f"k{n}" for n in range(50)}
    seen, lock = set(), threading.Lock()

    def drain():
        while True:
            for record in receive(sqs_client, url, 1):
                with lock:
                    seen.add(record["s3"]["object"]["key"])
            with lock:
                if seen >= keys:
                    sqs_client.send_message(
                        QueueUrl=url,
                        MessageBody='{"Records": [{"s3": {"object": {"key": "end"}}}]}',
                    )
                    return

    with ThreadPoolExecutor(8) as pool:
        drains = [pool.submit(drain) for _ in range(4)]
        list(pool.map(lambda key: s3_client.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))
        for done in drains:
            done.result()

    assert seen - {"end"} == keys


def test_an_upload_outlives_its_queue(queue):
    s3_client, sqs_client, bucket, url = queue()
    sqs_client.delete_queue(QueueUrl=url)

    s3_client.put_object(Bucket=bucket, Key="a.jpg", Body=b"x")

    assert s3_client.get_object(Bucket=bucket, Key="a.jpg")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("access_key", "secret_key", "code"),
    [("nobody", "x", "InvalidAccessKeyId"), ("test-key", "x", "SignatureDoesNotMatch")],
)
def test_wrong_credentials_are_refused(storage, access_key, secret_key, code):
    store = s3.connect(
        endpoint=storage.url, region="us-east-1", access_key=access_key, secret_key=secret_key
    )

    with pytest.raises(StorageDenied, match=code):
        store.read("images", "photo.jpg", version=None, max_bytes=10)


def test_wrong_credentials_reach_no_queue(storage):
    client = boto3.client("sqs", **(storage.client | {"aws_secret_access_key": "x"}))

    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client.receive_message(QueueUrl=storage.url + QUEUE)


def test_a_multipart_upload_with_the_aws_command_arrives_whole(queue, storage, tmp_path):
    _, sqs_client, bucket, url = queue()
    sent, received = tmp_path / "sent.bin", tmp_path / "received.bin"
    sent.write_bytes(bytes(range(256)) * 40 * 1024)  # 10 MiB; the command splits above 8
    aws = [str(Path(sys.executable).with_name("aws")), "--endpoint-url", storage.url, "s3", "cp"]
    address = f"s3://{bucket}/a b+c%20/é.bin"

    for arguments in ([str(sent), address], [address, str(received)]):
        subprocess.run(
            [*aws, "--no-progress", *arguments], env=storage.env, check=True, capture_output=True
        )

    assert received.read_bytes() == sent.read_bytes()
    assert [r["eventName"] for r in receive(sqs_client, url, 1)] == [
        "ObjectCreated:CompleteMultipartUpload"
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well_even_during_a_long_poll(start_storage, number):
    storage = start_storage()
    client = boto3.client("sqs", **storage.client)
    receive_events = {"QueueUrl": storage.url + QUEUE, "MaxNumberOfMessages": 10}
    while client.receive_message(**receive_events).get("Messages"):
        pass
    polling = threading.Event()
    client.meta.events.register("before-send.sqs", lambda **_: polling.set())

    def poll():
        with pytest.raises((BotoCoreError, ClientError)):
            client.receive_message(**receive_events, WaitTimeSeconds=20)

    thread = threading.Thread(target=poll)
    thread.start()
    polling.wait()

    storage.process.send_signal(number)

    assert storage.process.wait(15) == 0
    thread.join()


@pytest.mark.parametrize(("bucket", "queue_name"), [("No", "events"), ("images", "not a queue")])
def test_names_that_are_not_allowed_are_refused(bucket, queue_name):
    with pytest.raises(SettingsInvalid, match=r"InvalidBucketName|alphanumeric"):
        embedded.provision(embedded.application(), buckets=[bucket], queue=queue_name)


def test_only_one_request_deletes_at_a_time(monkeypatch):
    deleting = threading.Lock()
    overlaps = []

    def fake_moto(service):
        def app(*_):
            if not deleting.acquire(blocking=False):
                overlaps.append(service)
                return []
            time.sleep(0.001)  # lets the other threads in, where nothing keeps them out
            deleting.release()
            return []

        return app

    monkeypatch.setattr("moto.server.create_backend_app", fake_moto)
    app = embedded.application()
    environ = {"HTTP_X_AMZ_TARGET": "AmazonSQS.DeleteMessageBatch"}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: app(dict(environ), None), range(100)))

    assert overlaps == []


def test_the_secret_is_not_shown():
    assert "hidden" not in repr(embedded.KeyPair("me", "hidden"))


@pytest.mark.parametrize(("age_seconds", "handed_out"), [(50, 1), (70, 0)])
def test_a_message_is_handed_out_while_the_queue_keeps_it(age_seconds, handed_out):
    embedded.application()
    from moto.sqs.models import sqs_backends

    backend = sqs_backends[embedded.ACCOUNT][embedded.REGION]
    name = f"queue-{uuid.uuid4()}"
    backend.create_queue(name, MessageRetentionPeriod=60)
    backend.send_message(name, "text").sent_timestamp -= age_seconds * 1000

    assert len(backend.receive_message(name, 1, 0, 30)) == handed_out


def test_overwrites_of_one_key_at_the_same_time_all_succeed(storage):
    client = boto3.client("s3", **storage.client, config=Config(retries={"total_max_attempts": 1}))

    def put(number):
        client.put_object(Bucket="images", Key="same.jpg", Body=bytes(20_000 + number))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(put, range(300)))
