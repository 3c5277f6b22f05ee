"""Requests begun and answered by the thread that reads, and those that are not."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection

import pytest

from rookery.serving.server import Server


class Later:
    """An answer that is ready when the test says so."""

    def __init__(self, body, start_response, app):
        self._body, self._start_response, self._app = body, start_response, app
        self._ready = threading.Event()
        self.when_ready = lambda call: app.waiting.append((self, call))

    def finish(self, call):
        self._ready.set()
        call()

    def __iter__(self):
        assert self._ready.is_set(), "it was not to be iterated yet"
        self._app.threads.append(threading.get_ident())
        self._start_response("202 Accepted", [("Content-Length", str(len(self._body)))])
        yield self._body


@dataclass
class App:
    """Answers /later when it is told to, /now at once; /slow is not prompt, and /fail fails."""

    waiting: list = field(default_factory=list)
    threads: list = field(default_factory=list)
    let: threading.Event = field(default_factory=threading.Event)

    def is_prompt(self, environ):
        return environ["PATH_INFO"] != "/slow"

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        self.threads.append(threading.get_ident())
        if path.startswith("/later"):
            return Later(path.encode(), start_response, self)
        if path == "/fail":
            raise RuntimeError("a bug")
        if path == "/slow":
            assert self.let.wait(20)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]


@dataclass
class Running:
    app: App
    server: Server
    thread: threading.Thread

    @property
    def address(self):
        host, port = self.server.url.removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    def get(self, path):
        connection = HTTPConnection(*self.address, timeout=20)
        connection.request("GET", path)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer


@pytest.fixture
def running() -> Iterator[Running]:
    app = App()
    server = Server(
        app,
        host="127.0.0.1",
        port=0,
        threads=2,
        max_body_bytes=1000,
        drain_seconds=20,
        prompt=app.is_prompt,
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    yield Running(app, server, thread)
    app.let.set()
    server.stop()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def send(running) -> Iterator[Callable[[bytes], socket.socket]]:
    sockets = []

    def connect(data):
        sockets.append(socket.create_connection(running.address, timeout=20))
        sockets[-1].sendall(data)
        return sockets[-1]

    yield connect
    for each in sockets:
        each.close()


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def read(connection, count):
    """Read *count* answers with the bodies that this application gives."""
    data = b""
    while data.count(b"\r\n\r\n") < count or not data.endswith((b"ok", b"1", b"2", b"3")):
        chunk = connection.recv(65536)
        assert chunk, data
        data += chunk
    return data


def test_begins_and_answers_in_the_thread_that_reads(running, send, wait_until):
    connection = send(get("/later1"))
    wait_until(lambda: running.app.waiting, "the beginning")
    answer, call = running.app.waiting.pop()
    answer.finish(call)  # from another thread, as a journal does
    assert read(connection, 1).endswith(b"/later1")
    assert running.app.threads == [running.thread.ident] * 2


def test_others_are_answered_while_one_waits(running, send, wait_until):
    connections = [send(get(f"/later{number}")) for number in (1, 2)]
    wait_until(lambda: len(running.app.waiting) == 2, "both beginnings")
    assert running.get("/now") == (200, b"ok")
    for answer, call in reversed(running.app.waiting):
        answer.finish(call)
    assert [read(each, 1)[-1:] for each in connections] == [b"1", b"2"]


def test_requests_on_one_connection_are_answered_in_order(running, send, wait_until):
    connection = send(get("/later1") + get("/now") + get("/later3"))
    for _ in range(2):
        wait_until(lambda: running.app.waiting, "the next beginning")
        assert len(running.app.waiting) == 1
        answer, call = running.app.waiting.pop()
        answer.finish(call)
    data = read(connection, 3)
    assert data.index(b"/later1") < data.index(b"ok") < data.index(b"/later3")


def test_what_is_not_prompt_gets_a_thread_of_its_own(running, send):
    send(get("/slow"))
    assert running.get("/now") == (200, b"ok")
    running.app.let.set()
    assert running.get("/slow") == (200, b"ok")
    assert len(set(running.app.threads)) > 1


def test_an_application_that_fails_is_a_500_and_ends_nothing(running, send, caplog):
    connection = send(get("/later1") + get("/fail"))
    while not running.app.waiting:
        assert running.get("/now") == (200, b"ok")
    answer, call = running.app.waiting.pop()
    answer.finish(call)
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    assert b" 500 Internal Server Error" in data
    assert b"a bug" not in data
    assert running.get("/now") == (200, b"ok")
    assert "a bug" in caplog.text


def test_a_client_that_left_ends_nothing(running, send, wait_until):
    send(get("/later1")).close()
    wait_until(lambda: running.app.waiting, "the beginning")
    answer, call = running.app.waiting.pop()
    answer.finish(call)
    assert running.get("/now") == (200, b"ok")


def test_a_drain_waits_for_what_was_begun(running, send, wait_until):
    connection = send(get("/later1"))
    wait_until(lambda: running.app.waiting, "the beginning")
    running.server.stop()
    answer, call = running.app.waiting.pop()
    answer.finish(call)
    data = read(connection, 1)
    assert b"Connection: close" in data
    running.thread.join(20)
    assert not running.thread.is_alive()
