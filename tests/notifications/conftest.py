"""A real Ceph, a real RabbitMQ, and an endpoint that remembers what it was sent."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from rookery.free_ports import free_ports
from rookery.notifications.connection import Connection
from rookery.storage.ceph.node import Told

# A persistent topic that is new waits for Ceph to look for new queues: every 30 s.
PATIENCE_SECONDS = 60
_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_RABBIT_SECONDS = 300
_SILENT = Told(lambda *_: None, lambda _: None)


@pytest.fixture(scope="session")
def radosgw(ceph) -> Connection:
    return Connection(ceph.endpoint, ceph.region, ceph.access_key, ceph.secret_key)


@pytest.fixture(scope="session")
def s3(radosgw):
    """A plain S3 client of the real Ceph."""
    return boto3.client("s3", **keys(radosgw), config=Config(s3={"addressing_style": "path"}))


@pytest.fixture(scope="session")
def sns(radosgw):
    """A plain SNS client of the real Ceph."""
    return boto3.client("sns", **keys(radosgw))


@pytest.fixture
def bucket(s3) -> Iterator[str]:
    """A bucket for one test; its name is also one that no topic or notification has."""
    name = f"bucket-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    yield name
    for found in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=found["Key"])
    s3.delete_bucket(Bucket=name)


def keys(connection: Connection) -> dict[str, str]:
    return {
        "endpoint_url": connection.endpoint,
        "region_name": connection.region,
        "aws_access_key_id": connection.access_key,
        "aws_secret_access_key": connection.secret_key,
    }


@dataclass
class Receiver:
    """An HTTP endpoint; `paths` are what was asked for, `records` what came."""

    url: str
    paths: list[str] = field(default_factory=list)
    records: list[dict] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        return [record["s3"]["object"]["key"] for record in self.records]

    def clear(self) -> None:
        self.paths.clear()
        self.records.clear()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.paths.append(self.path)
            received.records.extend(body["Records"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield received
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def wait_long() -> Callable[[Callable[[], bool], str], None]:
    """Look until something is so, as long as Ceph may take for it."""

    def wait(done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory) -> Iterator[int]:
    """The port of a real RabbitMQ of our own: its node, its files and its epmd are all private."""
    epmd = shutil.which("epmd")
    if not _RABBIT.exists() or epmd is None:
        pytest.skip("RabbitMQ is not installed; install it with: apt-get install rabbitmq-server")
    folder = tmp_path_factory.mktemp("rabbitmq")
    port, distribution, mapper = free_ports(3)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"rookery-{os.getpid()}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    said = folder / "output"
    with (
        _started(epmd, "-port", str(mapper), "-address", "127.0.0.1"),
        said.open("w") as output,
        _started(str(_RABBIT), env=environ, stdout=output, stderr=subprocess.STDOUT) as server,
    ):
        deadline = time.monotonic() + _RABBIT_SECONDS
        while "startup complete" not in said.read_text():
            assert server.poll() is None, f"RabbitMQ ended:\n{said.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"it did not start:\n{said.read_text()[-2000:]}"
            time.sleep(0.1)
        yield port


@contextmanager
def _started(*command: str, **options) -> Iterator[subprocess.Popen]:
    """Run *command* in a group that ends as a whole: here, or when this process is killed."""
    group = (
        "setpriv",
        "--pdeathsig",
        "TERM",
        "sh",
        "-c",
        "trap 'kill -KILL 0' TERM; \"$@\" & wait",
    )
    process = subprocess.Popen((*group, "-", *command), start_new_session=True, **options)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
