import http.client
import io
import logging
import resource
import socket
import threading
from urllib.parse import urlsplit

import pytest

from rookery.serving import listener as listener_module
from rookery.serving.limits import Limits
from rookery.serving.listener import Listener
from rookery.serving.server import Server

INFINITY = resource.RLIM_INFINITY


@pytest.fixture
def files(monkeypatch):
    """How many files this process may open: [soft, hard]."""
    allowed = [1024, INFINITY]
    monkeypatch.setattr(listener_module.resource, "getrlimit", lambda _: tuple(allowed))
    monkeypatch.setattr(
        listener_module.resource,
        "setrlimit",
        lambda _, limits: allowed.__setitem__(slice(None), limits),
    )
    return allowed


@pytest.mark.parametrize(
    ("soft", "hard", "room", "soft_after"),
    [
        (20_000, 20_000, 1000, 20_000),
        (1024, INFINITY, 1000, 2256),
        (1024, 4096, 1000, 2256),
        (INFINITY, INFINITY, 1000, INFINITY),
        (1024, 1024, 384, 1024),
        (64, 64, 1, 64),
    ],
)
def test_there_are_as_many_connections_as_files_for_them(files, soft, hard, room, soft_after):
    files[:] = [soft, hard]
    assert listener_module._room_for(1000) == room
    assert files[0] == soft_after


def test_less_room_than_wanted_is_said(files, caplog):
    files[:] = [1024, 1024]
    with caplog.at_level(logging.WARNING):
        listener_module._room_for(1000)
    assert "at most 384 connections instead of 1000: ulimit -n is 1024" in caplog.text


def test_without_a_free_file_the_next_connection_waits_and_nobody_spins(monkeypatch):
    server = Server(
        lambda *_: [], host="127.0.0.1", port=0, threads=1, max_body_bytes=1, drain_seconds=1,
        limits=Limits(connections=5),
    )  # fmt: skip
    listener = server._server

    def fail(_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Listener, "accept", fail)
    assert listener.readable()
    listener.handle_accept()
    assert not listener.readable()  # for a moment
    server.close()


def test_a_client_that_has_gone_before_it_is_taken_in_is_no_fault(monkeypatch):
    server = Server(
        lambda *_: [], host="127.0.0.1", port=0, threads=1, max_body_bytes=1, drain_seconds=1
    )
    listener = server._server
    ours, theirs = socket.socketpair()
    waiting = [(ours, ("127.0.0.1", 1)), None]
    monkeypatch.setattr(Listener, "accept", lambda _: waiting.pop(0))

    def fail(*_):
        raise OSError(107, "not connected")

    monkeypatch.setattr(Listener, "set_socket_options", fail)
    listener.handle_accept()
    assert not listener.active_channels
    assert theirs.recv(1) == b""  # closed
    server.close()
    theirs.close()


@pytest.fixture
def bodies():
    """A server that tells where each body was kept while it arrived."""
    kept = []

    def app(environ, start_response):
        # waitress hands on what it kept the body in; a long one is a temporary file.
        kept.append(isinstance(environ["wsgi.input"], io.BytesIO))
        start_response("200 OK", [("Content-Length", "0")])
        return []

    server = Server(
        app, host="127.0.0.1", port=0, threads=1, max_body_bytes=1 << 24, drain_seconds=1
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server, kept
    server.stop()
    thread.join()


def post(connection, length):
    connection.request("POST", "/", b"\0" * length)
    assert connection.getresponse().read() == b""


def test_the_body_of_whoever_comes_alone_stays_in_memory(bodies):
    server, kept = bodies
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    post(connection, 8_000_000)
    connection.close()
    assert kept == [True]


def test_who_comes_among_others_has_a_share_of_the_memory(bodies, monkeypatch):
    server, kept = bodies
    monkeypatch.setattr(listener_module, "_BODIES_BYTES", 4_000_000)
    address = urlsplit(server.url).netloc
    connections = [http.client.HTTPConnection(address) for _ in range(4)]
    for connection in connections:
        post(connection, 1)
    post(connections[0], 900_000)
    post(connections[1], 1_100_000)
    for connection in connections:
        connection.close()
    assert kept == [True, True, True, True, True, False]
