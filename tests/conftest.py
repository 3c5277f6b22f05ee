"""Servers, processes and a model that every folder of tests may need."""

import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ceph_nodes import running_node
from rookery.free_ports import free_ports
from rookery.images.preprocessing import Preprocessing
from rookery.images.sample import sample_jpeg
from rookery.models.card import ModelCard
from rookery.models.labels import write_labels
from rookery.models.repository import ModelVersion, Repository
from rookery.settings import _DEFAULTS as SETTINGS
from rookery.settings import Settings
from rookery.storage.ceph.state import CephNode
from snapshot_processes import usable_criu

# The fixed backend scores in the order of the labels: the first always wins.
LABELS = (
    "king penguin, Aptenodytes patagonica", "macaw", "grey owl", "magpie", "jay", "goldfinch",
    "Brünnich's guillemot",
)  # fmt: skip
# They take minutes: at the end, one worker would be alone with them.
_LONGEST = (
    "faults/test_ceph_faults.py", "faults/test_ceph_endpoint_gone.py",
    "end_to_end/test_snapshot_models.py", "end_to_end/test_readme.py", "ceph/test_node.py",
    "end_to_end/test_kill.py", "notifications/test_ceph.py", "end_to_end/test_deadletters.py",
    "end_to_end/test_main_job.py", "end_to_end/test_up_ceph.py", "faults/test_broker_killed.py",
    "end_to_end/test_snapshot_container.py", "end_to_end/test_snapshot_refused.py",
    "end_to_end/test_snapshot_create.py", "end_to_end/test_notebook.py",
)  # fmt: skip
_DEADLINE_SECONDS = 60  # importing TensorFlow takes long beside other tests

ACCESS_KEY = "test-key"
SECRET_KEY = "test/secret+key="


@dataclass(frozen=True)
class EmbeddedStorage:
    """A running `rookery storage serve`, and what a client needs to talk to it."""

    process: subprocess.Popen[str]
    url: str
    client: dict[str, str]
    env: dict[str, str]


@pytest.fixture(scope="session")
def start_storage() -> Iterator[Callable[..., EmbeddedStorage]]:
    """Start the embedded S3 and SQS in a process of its own; with the bucket `images`."""
    processes: list[subprocess.Popen[str]] = []
    env = {
        "S3_ACCESS_KEY": ACCESS_KEY,
        "S3_SECRET_KEY": SECRET_KEY,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def start(port: int = 0) -> EmbeddedStorage:
        process = subprocess.Popen(
            [sys.executable, "-m", "rookery", "storage", "serve", f"--port={port}"],
            env=os.environ | env,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        client = {
            "endpoint_url": url,
            "region_name": "us-east-1",
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
        }
        return EmbeddedStorage(process, url, client, env)

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def storage(start_storage: Callable[..., EmbeddedStorage]) -> EmbeddedStorage:
    """One embedded S3 and SQS for every test that only uses it."""
    return start_storage()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send every test of the shared Ceph to one worker, and let the longest files begin first."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(places)))
    for item in items:
        params = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if "ceph" in getattr(item, "fixturenames", ()) or "ceph" in params:
            item.add_marker(pytest.mark.xdist_group("ceph"))


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephNode]:
    """One real Ceph for every test that only uses it; each makes its own buckets and topics."""
    with running_node(tmp_path_factory.mktemp("ceph"), "memstore") as node:
        yield node


@pytest.fixture
def ceph_to_break(tmp_path: Path) -> Iterator[CephNode]:
    """A real Ceph for one test, which may stop and kill parts of it: its objects are on disk."""
    with running_node(tmp_path, "bluestore") as node:
        yield node


@pytest.fixture(scope="session")
def criu() -> str:
    """The program that makes and wakes snapshots; `scripts/install-criu` puts it here."""
    return usable_criu()


@dataclass
class ScriptedServer:
    """Answers the n-th request with the n-th step's bytes, and then closes the connection.

    The last step answers every later request too. A step of None answers nothing, and holds the
    connection open until the server ends.
    """

    url: str
    requests: list[bytes] = field(default_factory=list)


@pytest.fixture
def scripted_server() -> Iterator[Callable[..., ScriptedServer]]:
    ended = threading.Event()
    servers: list[socketserver.ThreadingTCPServer] = []

    def start(*steps: bytes | None) -> ScriptedServer:
        lock = threading.Lock()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                request = _receive(self.request)
                with lock:
                    step = steps[min(len(scripted.requests), len(steps) - 1)]
                    scripted.requests.append(request)
                if step is None:
                    ended.wait()
                else:
                    self.request.sendall(step)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        server = Server(("127.0.0.1", 0), Handler)
        scripted = ScriptedServer(f"http://127.0.0.1:{server.server_address[1]}")
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return scripted

    yield start
    ended.set()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def unused_url() -> str:
    """A URL that refuses connections."""
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A JPEG of 64 by 48 pixels."""
    return sample_jpeg(64, 48)


@pytest.fixture(scope="session")
def fixed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ROOKERY_HOME with the model `penguins`, which needs no library."""
    home = tmp_path_factory.mktemp("home")
    publish_penguins(home)
    return home


@pytest.fixture(scope="session")
def penguins(fixed_home: Path) -> ModelVersion:
    return Repository(fixed_home / "models").find("penguins")


@pytest.fixture(scope="session")
def environ(fixed_home: Path) -> Mapping[str, str]:
    """An environment to run our commands in: nobody's settings, a free port, the fixed model."""
    foreign = re.compile(r"ROOKERY_|S3_|K_|AWS_|PORT$|FUNCTION_|THREADS$|WORKERS$")
    return {name: value for name, value in os.environ.items() if not foreign.match(name)} | {
        "ROOKERY_HOME": str(fixed_home),
        "ROOKERY_MODEL": "penguins",
        "ROOKERY_BACKEND": "fixed",
        "ROOKERY_HOST": "127.0.0.1",
        "PORT": "0",
        "S3_ENABLED": "false",
    }


@pytest.fixture
def settings(
    monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]
) -> Callable[..., Settings]:
    """Make the settings of the fixed model's environment, and of more."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)

    def read(**more: str) -> Settings:
        for name, value in {**environ, **more}.items():
            if name in SETTINGS:
                monkeypatch.setenv(name, value)
        return Settings.read()

    return read


@dataclass
class Launched:
    """A process, and what it has said so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    _spoke: threading.Condition = field(default_factory=threading.Condition)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def said(self, pattern: str) -> re.Match[str]:
        """Wait until the process has said *pattern*."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        with self._spoke:
            while (found := re.search(pattern, self.text)) is None:
                ended = self.process.poll() is not None and not self._listener.is_alive()
                if ended or not self._spoke.wait(max(0.0, min(1, deadline - time.monotonic()))):
                    assert not ended, f"ended without {pattern!r}:\n{self.text}"
                    assert time.monotonic() < deadline, f"never said {pattern!r}:\n{self.text}"
        return found

    def ends(self) -> int:
        """Wait for the end and return the exit status."""
        try:
            status = self.process.wait(_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._listener.join()
        return status

    def listen(self) -> None:
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._spoke:
                self.lines.append(line)
                self._spoke.notify_all()


Launch = Callable[[Sequence[str], Mapping[str, str]], AbstractContextManager[Launched]]


@pytest.fixture(scope="session")
def launch() -> Launch:
    """Start a command in an environment; it is terminated at the end, if it still runs."""
    return launched


@contextmanager
def launched(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[Launched]:
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        running = Launched(process)
        running.listen()
        try:
            yield running
        finally:
            if process.poll() is None:
                process.terminate()  # a killed master would leave its workers behind
            running.ends()


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Look until something is so, and fail saying what was waited for."""

    def wait(done: Callable[[], bool], what: str, *, seconds: float = _DEADLINE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.01)

    return wait


def publish_penguins(home: Path) -> ModelVersion:
    card = ModelCard(
        name="penguins",
        version=1,
        architecture="none",
        license="CC0-1.0",
        source="made for a test",
        format="fixed",
        signature="serving_default",
        output="probabilities",
        activation="probabilities",
        labels="labels.txt",
        classes=len(LABELS),
        input=Preprocessing(height=8, width=8),
    )
    return Repository(home / "models").publish(
        card, lambda folder: write_labels(folder / "labels.txt", LABELS)
    )


def _receive(connection: socket.socket) -> bytes:
    """Read one request, answering Expect: 100-continue as a server must."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (chunk := connection.recv(65536)):
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    if b"100-continue" in head.lower():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    found = re.search(rb"(?i)content-length: (\d+)", head)
    length = int(found[1]) if found else 0
    while len(body) < length and (chunk := connection.recv(65536)):
        body += chunk
    return head + b"\r\n\r\n" + body
