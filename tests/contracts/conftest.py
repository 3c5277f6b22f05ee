"""Every adapter of every port, each behind the little that a contract test needs to know of it."""

import itertools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
import redis

from rookery.dedup import redis as redis_adapter
from rookery.dedup.leases import SharedWindow
from rookery.dedup.ledger import Ledger
from rookery.dedup.sqlite import SqliteLedger
from rookery.delivery.memory import MemorySink
from rookery.delivery.protocol import Sink
from rookery.delivery.retry import RetryPolicy
from rookery.delivery.sink import connect_sink
from rookery.errors import DeliveryRejected, SinkUnavailable
from rookery.events.dedup import Dedup, DedupWindow
from rookery.events.wire import CloudEvent, from_http
from rookery.free_ports import free_ports
from rookery.source import sqs
from rookery.source.memory import MemoryQueue
from rookery.source.protocol import NotificationQueue
from rookery.storage import s3
from rookery.storage.memory import MemoryStore
from rookery.storage.protocol import ObjectListing, ObjectStore

_numbers = itertools.count()


@dataclass(frozen=True)
class StoreUnderTest:
    store: ObjectStore
    bucket: str
    versions: Callable[[str], list[str]]


@pytest.fixture(params=["memory", "s3", "ceph"])
def stores(request: pytest.FixtureRequest) -> Iterator[StoreUnderTest]:
    """A store with one empty bucket that keeps versions."""
    bucket = f"bucket-{os.getpid()}-{next(_numbers)}"
    if request.param == "memory":
        memory = MemoryStore(bucket)
        yield StoreUnderTest(memory, bucket, lambda key: list(memory.versions(bucket, key)))
        return
    address = _s3_address(request)
    client = boto3.client("s3", **address)
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def versions(key: str) -> list[str]:
        found = client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
        return [version["VersionId"] for version in reversed(found)]

    with closing(_connected(address)) as store:
        yield StoreUnderTest(store, bucket, versions)
    client.close()


@dataclass(frozen=True)
class ListingUnderTest:
    listing: ObjectListing
    store: ObjectStore
    bucket: str


@pytest.fixture(params=["memory", "s3", "ceph"])
def listings(request: pytest.FixtureRequest) -> Iterator[ListingUnderTest]:
    """What lists an empty bucket that keeps no versions, but for memory's, and writes to it."""
    bucket = f"bucket-{os.getpid()}-{next(_numbers)}"
    if request.param == "memory":
        memory = MemoryStore(bucket)
        yield ListingUnderTest(memory, memory, bucket)
        return
    address = _s3_address(request)
    with closing(boto3.client("s3", **address)) as client:
        client.create_bucket(Bucket=bucket)
    with closing(_connected(address)) as store:
        yield ListingUnderTest(store.listing(), store, bucket)


def _s3_address(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "s3":
        return request.getfixturevalue("storage").client
    node = request.getfixturevalue("ceph")
    return {
        "endpoint_url": node.endpoint,
        "region_name": node.region,
        "aws_access_key_id": node.access_key,
        "aws_secret_access_key": node.secret_key,
    }


def _connected(address: dict[str, str]) -> s3.S3Store:
    return s3.connect(
        endpoint=address["endpoint_url"],
        region=address["region_name"],
        access_key=address["aws_access_key_id"],
        secret_key=address["aws_secret_access_key"],
    )


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


TTL = 60.0
LEASE = 5.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class LedgersUnderTest:
    """Ledgers on one store; results last for TTL seconds, claims for LEASE.

    Attributes:
        open: another ledger, as another process would open it.
        place: what ROOKERY_DEDUP would name.
        pass_time: let so many seconds pass for the store.
        set_back: set the store's clock back by so many seconds.
    """

    open: Callable[[], Ledger]
    place: str
    pass_time: Callable[[float], None]
    set_back: Callable[[float], None]


@pytest.fixture(params=["sqlite", "redis"])
def ledgers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgersUnderTest]:
    """A store that nobody else uses."""
    with ExitStack() as opened:
        if request.param == "sqlite":
            yield _sqlite_ledgers(tmp_path / "dedup.db", opened)
        else:
            yield _redis_ledgers(request.getfixturevalue("redis_url"), opened)


def _sqlite_ledgers(path: Path, opened: ExitStack) -> LedgersUnderTest:
    clock = Clock()

    def open_() -> Ledger:
        ledger = SqliteLedger(path, ttl_seconds=TTL, entries=1000, lease_seconds=LEASE, clock=clock)
        opened.callback(ledger.close)
        return ledger

    def pass_time(seconds: float) -> None:
        clock.now += seconds

    return LedgersUnderTest(open_, f"sqlite:{path}", pass_time, lambda by: pass_time(-by))


def _redis_ledgers(url: str, opened: ExitStack) -> LedgersUnderTest:
    client = redis.Redis.from_url(url)
    client.flushall()
    opened.callback(client.close)

    def open_() -> Ledger:
        ledger, _ = redis_adapter.connect(url, ttl_seconds=TTL, lease_seconds=LEASE)
        opened.callback(ledger.close)
        return ledger

    def set_back(seconds: float) -> None:
        # What a step of the server's clock means for it: everything expires so much later.
        for key in client.scan_iter():
            client.pexpire(key, client.pttl(key) + int(seconds * 1000))

    return LedgersUnderTest(open_, url, lambda seconds: set_back(-seconds), set_back)


@dataclass(frozen=True)
class WindowUnderTest:
    window: Dedup
    pass_time: Callable[[float], None]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def windows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WindowUnderTest]:
    """An empty window that remembers for TTL seconds."""
    if request.param == "memory":
        clock = Clock()

        def pass_time(seconds: float) -> None:
            clock.now += seconds

        yield WindowUnderTest(DedupWindow(TTL, 1000, clock), pass_time)
        return
    with ExitStack() as opened:
        if request.param == "sqlite":
            shared = _sqlite_ledgers(tmp_path / "dedup.db", opened)
        else:
            shared = _redis_ledgers(request.getfixturevalue("redis_url"), opened)
        window = SharedWindow(shared.open(), name="store", scope="test", lease_seconds=LEASE)
        opened.callback(window.close)
        yield WindowUnderTest(window, shared.pass_time)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A redis-server of our own, with a password."""
    program = shutil.which("redis-server")
    if program is None:
        missing = "redis-server is not installed: sudo apt-get install redis-server"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("redis")
    command = [
        program, "--bind", "127.0.0.1", "--port", str(port), "--requirepass", "sesame",
        "--save", "", "--appendonly", "no", "--dir", str(folder), "--logfile", "redis.log",
    ]  # fmt: skip
    with subprocess.Popen(command) as process:
        url = f"redis://:sesame@127.0.0.1:{port}/0"
        try:
            _until_it_answers(url, process)
            yield url
        finally:
            process.kill()


def _until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 15
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                assert process.poll() is None, "redis-server ended"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.01)
            else:
                return
