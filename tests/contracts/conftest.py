"""Every adapter of every port, each behind the little that a contract test needs to know of it."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from rookery.delivery.memory import MemorySink
from rookery.delivery.protocol import Sink
from rookery.delivery.retry import RetryPolicy
from rookery.delivery.sink import connect_sink
from rookery.errors import DeliveryRejected, SinkUnavailable
from rookery.events.wire import CloudEvent, from_http
from rookery.source import sqs
from rookery.source.memory import MemoryQueue
from rookery.source.protocol import NotificationQueue
from rookery.storage import s3
from rookery.storage.memory import MemoryStore
from rookery.storage.protocol import ObjectStore

_numbers = itertools.count()


@dataclass(frozen=True)
class StoreUnderTest:
    store: ObjectStore
    bucket: str
    versions: Callable[[str], list[str]]


@pytest.fixture(params=["memory", "s3"])
def stores(request: pytest.FixtureRequest) -> StoreUnderTest:
    """A store with one empty bucket that keeps versions."""
    bucket = f"bucket-{next(_numbers)}"
    if request.param == "memory":
        memory = MemoryStore(bucket)
        return StoreUnderTest(memory, bucket, lambda key: list(memory.versions(bucket, key)))
    storage = request.getfixturevalue("storage")
    client = boto3.client("s3", **storage.client)
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store = s3.connect(
        endpoint=storage.url,
        region="us-east-1",
        access_key=storage.env["S3_ACCESS_KEY"],
        secret_key=storage.env["S3_SECRET_KEY"],
    )

    def versions(key: str) -> list[str]:
        found = client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
        return [version["VersionId"] for version in reversed(found)]

    return StoreUnderTest(store, bucket, versions)


@dataclass(frozen=True)
class SinkUnderTest:
    sink: Sink
    received: Callable[[], list[CloudEvent]]
    refuse: Callable[[], None]
    break_down: Callable[[], None]


@pytest.fixture(params=["memory", "http"])
def sinks(request: pytest.FixtureRequest) -> Iterator[SinkUnderTest]:
    """A sink, what it received, and ways to make the next send fail."""
    if request.param == "memory":
        memory = MemorySink()
        yield SinkUnderTest(
            memory,
            lambda: list(memory.events),
            lambda: memory.fail(DeliveryRejected("no")),
            lambda: memory.fail(SinkUnavailable("down")),
        )
        return
    received: list[CloudEvent] = []
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = statuses.pop() if statuses else 202
            if status == 202:
                received.extend(from_http(dict(self.headers.items()), body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    sink = connect_sink(
        f"http://127.0.0.1:{server.server_address[1]}", policy=RetryPolicy(attempts=1)
    )
    yield SinkUnderTest(
        sink, lambda: list(received), lambda: statuses.append(400), lambda: statuses.append(503)
    )
    sink.close()
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class QueueUnderTest:
    queue: NotificationQueue
    send: Callable[[str], object]


@pytest.fixture(params=["memory", "sqs"])
def queues(request: pytest.FixtureRequest) -> QueueUnderTest:
    """An empty queue that lends messages for one second and waits as long for them."""
    if request.param == "memory":
        memory = MemoryQueue(visibility_seconds=1, wait_seconds=1)
        return QueueUnderTest(memory, memory.send)
    client = boto3.client("sqs", **request.getfixturevalue("storage").client)
    url = client.create_queue(QueueName=f"queue-{next(_numbers)}")["QueueUrl"]
    queue = sqs.SqsQueue(client, url, wait_seconds=1, visibility_seconds=1)
    return QueueUnderTest(queue, lambda body: client.send_message(QueueUrl=url, MessageBody=body))
