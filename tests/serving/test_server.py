import json
import logging
import re
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Self

import pytest

from rookery.errors import PortTaken
from rookery.serving import channel as channel_module
from rookery.serving import listener as listener_module
from rookery.serving.limits import BYTES_PER_SECOND, HEADER_BYTES, HEADER_FIELDS, Limits
from rookery.serving.server import Server, stopped_by_signals

LIMIT = 1000
LONG = 15_000_000  # more than the sockets hold, less than makes the worker wait
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


@dataclass
class Running:
    server: Server
    thread: threading.Thread
    refused: list[tuple[str, int]] = field(default_factory=list)
    drained: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    let: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.server.url.removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    def connect(self) -> "Client":
        return Client(socket.create_connection(self.address, timeout=20))

    @property
    def channels(self) -> list[channel_module.Channel]:
        return list(self.server._server.active_channels.values())

    @property
    def arrived(self) -> int:
        """How much of the bodies that are not complete has arrived."""
        requests = [channel.request for channel in self.channels]
        return sum(request.body_bytes_received for request in requests if request is not None)

    def ends(self) -> None:
        self.thread.join(20)
        assert not self.thread.is_alive()


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """A connection that is written to and read from byte by byte."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._read = b""

    def send(self, *parts: bytes) -> "Client":
        for part in parts:
            self.connection.sendall(part)
        return self

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers with lowercase names, body."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", 0))
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return int(first.split()[1]), headers, body

    def refusal(self) -> tuple[int, str]:
        status, headers, body = self.answer()
        assert headers["content-type"] == "application/json"
        assert set(json.loads(body)) == {"error", "message"}
        return status, json.loads(body)["error"]

    def told(self) -> bool:
        """Whether anything has been answered, or the connection was closed."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def answer_begins(self) -> bytes:
        """Read the first of an answer and no more."""
        return self.connection.recv(15)

    def flood(self) -> None:
        while True:
            self.connection.sendall(b"x" * 100_000)

    def closed(self) -> bool:
        """Wait for the other side to close."""
        try:
            return self._read == b"" and self.connection.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self) -> None:
        chunk = self.connection.recv(65536)
        assert chunk, f"closed after {self._read!r}"
        self._read += chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start a server whose application answers how many bytes it read.

    /hold waits until it is let, /fail fails.
    """
    started: list[Running] = []

    def make(
        *, drain_seconds=20.0, host="127.0.0.1", threads=4, limits=None, max_body_bytes=LIMIT
    ) -> Running:
        def app(environ, start_response):
            body = environ["wsgi.input"].read()
            if environ["PATH_INFO"] == "/hold":
                running.entered.set()
                assert running.let.wait(20)
            if environ["PATH_INFO"] == "/fail":
                raise RuntimeError("a secret")
            if environ["PATH_INFO"] == "/long":
                start_response("200 OK", [("Content-Length", str(LONG))])
                return [b"x" * LONG]
            answer = str(len(body)).encode()
            start_response("200 OK", [("Content-Length", str(len(answer)))])
            return [answer]

        server = Server(
            app,
            host=host,
            port=0,
            threads=threads,
            max_body_bytes=max_body_bytes,
            drain_seconds=drain_seconds,
            on_refused=lambda code, status: running.refused.append((code, status)),
            limits=limits,
        )
        running = Running(server, threading.Thread(target=lambda: server.run(running.drained.set)))
        running.thread.start()
        started.append(running)
        return running

    yield make
    for running in started:
        running.let.set()
        running.server.stop()
        running.ends()


@pytest.fixture
def running(start) -> Running:
    return start()


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


def test_requests_share_a_connection(running):
    with running.connect() as client:
        for length in (0, 3, 7):
            client.send(POST, b"Content-Length: %d\r\n\r\n" % length, b"x" * length)
            status, _, body = client.answer()
            assert (status, body) == (200, b"%d" % length)


def test_requests_sent_at_once_are_answered_in_order(running):
    requests = [POST + b"Content-Length: %d\r\n\r\n%s" % (n, b"x" * n) for n in (1, 2, 3)]
    with running.connect() as client:
        client.send(b"".join(requests))
        assert [client.answer()[2] for _ in requests] == [b"1", b"2", b"3"]


def test_a_chunked_body_is_read(running):
    with running.connect() as client:
        client.send(POST, b"Transfer-Encoding: chunked\r\n\r\n", chunked(b"abc", b"de", b""))
        assert client.answer()[2] == b"5"


@pytest.mark.parametrize("length", [LIMIT, LIMIT - 1])
def test_a_body_of_the_limit_is_read(running, length):
    with running.connect() as client:
        client.send(POST, b"Content-Length: %d\r\n\r\n" % length, b"x" * length)
        assert client.answer()[2] == b"%d" % length


def test_a_body_is_refused_by_its_length_before_it_is_sent(running):
    with running.connect() as client:
        client.send(POST, b"Content-Length: 1073741824\r\n\r\n")
        status, headers, body = client.answer()
    assert status == 413
    assert headers["connection"] == "close"
    assert json.loads(body)["error"] == "BodyTooLarge"
    assert "1,073,741,824 bytes, the limit is 1,000 bytes" in json.loads(body)["message"]
    assert running.refused == [("BodyTooLarge", 413)]


def test_a_client_that_sends_everything_first_can_still_read_the_refusal(running):
    connection = HTTPConnection(*running.address, timeout=20)
    # More than all buffers between us hold.
    connection.request("POST", "/", body=b"x" * 30_000_000)
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read())["error"] == "BodyTooLarge"
    connection.close()


def test_a_body_without_a_length_is_refused_while_it_streams(running):
    with running.connect() as client:
        client.send(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            client.send(chunked(b"x" * 100_000))
        assert client.refusal() == (413, "BodyTooLarge")


def test_a_refused_client_that_falls_silent_is_closed(running, monkeypatch):
    monkeypatch.setattr(channel_module, "_LINGER_IDLE_SECONDS", 0.05)
    with running.connect() as client:
        client.send(POST, b"Content-Length: 5000\r\n\r\nx")
        assert client.refusal() == (413, "BodyTooLarge")
        assert client.closed()
    assert wait_for_none(running)


def test_a_refused_client_that_goes_on_for_ever_is_closed(running, monkeypatch):
    monkeypatch.setattr(channel_module, "_LINGER_SECONDS", 0.05)
    with running.connect() as client:
        client.send(POST, b"Content-Length: 5000000000\r\n\r\n")
        assert client.refusal() == (413, "BodyTooLarge")
        with pytest.raises(ConnectionError):
            client.flood()


def test_a_refused_client_that_hangs_up_is_forgotten(running):
    with running.connect() as client:
        client.send(POST, b"Content-Length: 5000\r\n\r\n")
        client.refusal()
    assert wait_for_none(running)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\0" * 100 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400_and_the_server_lives(running, garbage):
    with running.connect() as client:
        client.send(garbage)
        assert client.refusal() == (400, "RequestInvalid")
    with running.connect() as client:
        assert client.send(POST, b"\r\n").answer()[0] == 200


def test_an_unknown_transfer_coding_is_refused_for_good(running):
    with running.connect() as client:
        client.send(POST, b"Transfer-Encoding: gzip, chunked\r\n\r\n")
        assert client.refusal() == (400, "RequestInvalid")
    assert running.refused == [("RequestInvalid", 400)]


@pytest.mark.parametrize("ended", [True, False])
def test_endless_headers_are_431(running, ended):
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000 + (b"\r\n\r\n" if ended else b""))
        assert client.refusal() == (431, "HeadersTooLarge")
    assert running.refused == [("HeadersTooLarge", 431)]


def test_as_many_headers_as_are_allowed_are_read(running):
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * HEADER_FIELDS + b"\r\n")
        assert client.answer()[0] == 200
        client.send(b"GET / HTTP/1.1\r\nX: " + b"y" * (HEADER_BYTES - 100) + b"\r\n\r\n")
        assert client.answer()[0] == 200


def test_too_many_headers_are_431(running):
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (HEADER_FIELDS + 2) + b"\r\n")
        assert client.refusal() == (431, "HeadersTooLarge")


def test_chunks_without_content_are_refused(start):
    running = start(max_body_bytes=1_000_000)
    with running.connect() as client:
        client.send(POST, b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 5000)
        assert client.refusal() == (400, "RequestInvalid")


def test_a_client_that_waits_for_100_continue_is_told_to(running):
    with running.connect() as client:
        client.send(POST, b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.answer()[0] == 100
        client.send(b"abc")
        assert client.answer()[2] == b"3"


def test_a_client_that_waits_for_100_continue_is_refused_instead(running):
    with running.connect() as client:
        client.send(POST, b"Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n")
        assert client.refusal() == (413, "BodyTooLarge")


def test_a_client_that_waits_for_100_continue_with_nothing_to_send_is_answered(running):
    with running.connect() as client:
        client.send(POST, b"Content-Length: 0\r\nExpect: 100-continue\r\n\r\n")
        assert client.answer()[2] == b"0"


def test_slow_clients_hold_nobody_up(start):
    running = start(threads=1)
    slow = [running.connect().send(b"POST / HTTP/1.1\r\nX-Slow: ") for _ in range(50)]
    half = [running.connect().send(POST, b"Content-Length: 2\r\n\r\nx") for _ in range(50)]
    with running.connect() as client:
        assert client.send(POST, b"\r\n").answer()[0] == 200
    for client in half:
        with client:
            assert client.send(b"y").answer()[2] == b"2"
    for client in slow:
        with client:
            assert client.send(b"1\r\n", b"\r\n").answer()[0] == 200


@pytest.mark.parametrize(
    "start_of_a_head", [b"G", b"\r\n\r\n", b"POST / HTTP/1.1\r\nX-Slow: ", POST]
)
def test_headers_that_do_not_come_are_408(start, start_of_a_head):
    running = start(limits=Limits(header_seconds=0.05))
    with running.connect() as client:
        client.send(start_of_a_head)
        assert client.refusal() == (408, "RequestTooSlow")
        assert client.closed()
    assert running.refused == [("RequestTooSlow", 408)]


def test_the_headers_of_a_second_request_are_waited_for_no_longer(start):
    running = start(limits=Limits(header_seconds=0.05))
    with running.connect() as client:
        client.send(POST, b"\r\nGET / HT")
        assert client.answer()[0] == 200
        assert client.refusal() == (408, "RequestTooSlow")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100\r\n\r\nx", b"Transfer-Encoding: chunked\r\n\r\n5\r\n"]
)
def test_a_body_that_does_not_come_is_408(start, framing):
    running = start(limits=Limits(body_seconds=0.05))
    with running.connect() as client:
        client.send(POST, framing)
        assert client.refusal() == (408, "RequestTooSlow")
        assert client.closed()


@pytest.fixture
def clock(monkeypatch):
    """The time as the server knows it, which stands still until a test moves it."""
    stopped = Clock()
    monkeypatch.setattr(channel_module, "monotonic", stopped)
    monkeypatch.setattr(listener_module, "monotonic", stopped)
    return stopped


def test_a_body_that_comes_steadily_may_take_longer(start, clock, wait_until):
    running = start(limits=Limits(body_seconds=5), max_body_bytes=100 * BYTES_PER_SECOND)
    with running.connect() as client:
        client.send(POST, b"Content-Length: %d\r\n\r\n" % (20 * BYTES_PER_SECOND))
        for number in range(1, 20):
            client.send(b"x" * BYTES_PER_SECOND)
            wait_until(lambda: running.arrived == number * BYTES_PER_SECOND, "it to arrive")  # noqa: B023
            clock.now += 1
        client.send(b"x" * BYTES_PER_SECOND)
        assert client.answer()[2] == b"%d" % (20 * BYTES_PER_SECOND)


def test_a_body_that_comes_too_slowly_is_408_before_it_ends(start, clock, wait_until):
    running = start(limits=Limits(body_seconds=5), max_body_bytes=100 * BYTES_PER_SECOND)
    with running.connect() as client:
        client.send(POST, b"Content-Length: %d\r\n\r\n" % (20 * BYTES_PER_SECOND))
        for number in range(1, 6):
            client.send(b"x" * 100)
            wait_until(lambda: running.arrived == number * 100, "it to arrive")  # noqa: B023
            clock.now += 1
        wait_until(lambda: not running.refused, "nothing")
        client.send(b"x" * 100)
        wait_until(lambda: running.arrived == 600, "it to arrive")
        clock.now += 1
        assert client.refusal() == (408, "RequestTooSlow")


def test_work_may_take_longer_than_any_client(start, clock, wait_until):
    running = start(limits=Limits(header_seconds=1, body_seconds=1, idle_seconds=1))
    with running.connect() as client, running.connect() as other:
        client.send(b"GET /hold HTTP/1.1\r\n\r\n")
        assert running.entered.wait(20)
        wait_until(lambda: len(running.channels) == 2, "both to be connected")
        clock.now += 100
        assert other.closed()  # so they have been looked at
        running.let.set()
        assert client.answer()[0] == 200


def test_an_idle_connection_is_closed_in_the_end(start, clock, wait_until):
    running = start(limits=Limits(idle_seconds=5))
    with running.connect() as silent, running.connect() as client:
        client.send(POST, b"\r\n")
        assert client.answer()[0] == 200
        wait_until(
            lambda: [each.busy for each in running.channels] == [False, False], "both to be idle"
        )
        clock.now += 6
        assert client.closed()
        assert silent.closed()
    assert running.refused == []


def test_a_client_that_does_not_read_its_answer_is_closed(start):
    running = start(limits=Limits(body_seconds=0.05))
    with running.connect() as client:
        client.send(b"GET /long HTTP/1.1\r\n\r\n")
        assert client.answer_begins() == b"HTTP/1.1 200 OK"
        assert wait_for_none(running)


def test_a_new_client_takes_the_place_of_one_that_hangs(start, clock, wait_until):
    running = start(limits=Limits(connections=20))
    with ExitStack() as stack:
        hanging = [stack.enter_context(running.connect()) for _ in range(20)]
        for one in hanging:
            one.send(b"POST / HTTP/1.1\r\nX-Slow: ")
        wait_until(lambda: sum(each.busy for each in running.channels) == 20, "all to hang")
        clock.now += 1
        with running.connect() as client:
            assert client.send(POST, b"\r\n").answer()[0] == 200
        answers = [one.send(b"1\r\n\r\n").answer()[0] for one in hanging if not one.told()]
        assert answers == [200] * 19
    assert running.refused == [("Overloaded", 429)]


def test_a_client_that_gives_way_is_told_why(start, clock, wait_until):
    running = start(limits=Limits(connections=1))
    with running.connect() as hanging:
        hanging.send(POST + b"Content-Length: 5\r\n\r\n")
        wait_until(lambda: sum(each.busy for each in running.channels) == 1, "it to hang")
        clock.now += 1
        with running.connect() as client:
            assert client.send(POST, b"\r\n").answer()[0] == 200
        assert hanging.refusal() == (429, "Overloaded")
        assert hanging.closed()


def test_a_new_client_waits_where_all_are_worked_on(start):
    running = start(limits=Limits(connections=1))
    with running.connect() as first:
        first.send(b"GET /hold HTTP/1.1\r\n\r\n")
        assert running.entered.wait(20)
        second = running.connect().send(POST, b"\r\n")
        running.let.set()
        assert first.answer()[0] == 200
        with second:
            assert second.answer()[0] == 200


def test_a_probe_gets_in_while_a_thousand_clients_hang(start):
    running = start()
    with ExitStack() as hanging:
        for number in range(1200):
            client = hanging.enter_context(running.connect())
            client.send(POST if number % 2 else POST + b"Content-Length: 2\r\n\r\nx")
        with running.connect() as probe:
            assert probe.send(POST, b"\r\n").answer()[0] == 200
        assert len(running.server._server.active_channels) <= 1000


def test_a_fault_of_the_application_is_500_as_json_and_the_server_lives(running, caplog):
    with running.connect() as client:
        client.send(b"GET /fail HTTP/1.1\r\n\r\n")
        status, _, body = client.answer()
    assert (status, json.loads(body)["error"]) == (500, "Unexpected")
    assert b"secret" not in body
    assert "a secret" in caplog.text
    with running.connect() as client:
        assert client.send(POST, b"\r\n").answer()[0] == 200


def test_a_drain_finishes_what_is_in_flight_and_takes_nothing_new(running, wait_until):
    with running.connect() as client:
        client.send(b"GET /hold HTTP/1.1\r\n\r\n")
        assert running.entered.wait(20)
        running.server.stop()
        assert running.drained.wait(20)
        wait_until(lambda: not accepts(running), "the listener to close")
        running.let.set()
        status, headers, _ = client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert client.closed()
    running.ends()


def test_a_drain_waits_for_a_request_that_is_half_received(running):
    with running.connect() as client:
        client.send(POST, b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert client.answer()[0] == 100  # the server has seen it
        running.server.stop()
        assert running.drained.wait(20)
        assert client.send(b"xy").answer()[2] == b"2"
    running.ends()


def test_a_drain_does_not_wait_for_idle_connections(start):
    running = start(drain_seconds=1000)
    with running.connect() as client:
        client.send(POST, b"\r\n").answer()
        running.server.stop()
        running.ends()
        assert client.closed()


def test_a_drain_is_bounded(start, caplog):
    running = start(drain_seconds=0.05)
    with running.connect() as client:
        client.send(b"GET /hold HTTP/1.1\r\n\r\n")
        assert running.entered.wait(20)
        with caplog.at_level(logging.WARNING):
            running.server.stop()
            running.ends()
        assert "1 request(s) unfinished" in caplog.text


def test_stopping_twice_is_stopping_once(running):
    running.server.stop()
    running.server.stop()
    running.ends()


def test_a_server_stopped_before_it_runs_does_not_run():
    server = Server(
        lambda *_: [], host="127.0.0.1", port=0, threads=1, max_body_bytes=1, drain_seconds=1
    )
    server.stop()
    server.run()
    port = int(server.url.rpartition(":")[2])
    socket.create_server(("127.0.0.1", port)).close()


def test_a_port_that_is_taken_is_one_clear_message(running):
    host, port = running.address
    with pytest.raises(PortTaken, match=rf"cannot listen on {host}:{port}: Address already in use"):
        Server(None, host=host, port=port, threads=1, max_body_bytes=1, drain_seconds=1)


def test_a_host_that_is_none_is_one_clear_message():
    with pytest.raises(PortTaken, match=r"cannot listen on no\.such\.host\.invalid:0: "):
        Server(
            None,
            host="no.such.host.invalid",
            port=0,
            threads=1,
            max_body_bytes=1,
            drain_seconds=1,
        )


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("localhost", "localhost")],
)
def test_the_url_is_one_that_a_client_here_can_use(start, host, shown):
    running = start(host=host)
    assert re.fullmatch(rf"http://{re.escape(shown)}:\d+", running.server.url)
    with running.connect() as client:
        assert client.send(POST, b"\r\n").answer()[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_instead_of_ending_the_process_and_only_meanwhile(number):
    before = signal.getsignal(number)
    stopped = []
    with stopped_by_signals(lambda: stopped.append(number)):
        signal.raise_signal(number)
        signal.raise_signal(number)
    assert stopped == [number, number]
    assert signal.getsignal(number) is before


def accepts(running: Running) -> bool:
    try:
        socket.create_connection(running.address, timeout=20).close()
    except ConnectionRefusedError:
        return False
    return True


def wait_for_none(running: Running) -> bool:
    """Wait until the server knows no connection any more."""
    pause = threading.Event()
    for _ in range(2000):
        if not running.server._server.active_channels:
            return True
        pause.wait(0.01)
    return False
