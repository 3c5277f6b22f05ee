"""Servers that every folder of tests may need."""

import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

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
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


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
