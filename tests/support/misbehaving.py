"""Subscribers that misbehave on the wire: each request is handed to a function of its socket."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behavior = Callable[[socket.socket, threading.Event], None]


def answers(data: bytes) -> Behavior:
    """Say *data*, and close the connection."""
    return lambda connection, _: connection.sendall(data)


def hangs(connection: socket.socket, ended: threading.Event) -> None:
    """Say nothing, and hold the connection open."""
    del connection
    ended.wait(60)


def resets(connection: socket.socket, ended: threading.Event) -> None:
    """Close with a reset instead of an orderly end."""
    del ended
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def trickles(connection: socket.socket, ended: threading.Event) -> None:
    """Answer 200, one byte a second."""
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n" + bytes(60):
        connection.sendall(bytes([byte]))
        if ended.wait(1):
            return


class TricklesAfter:
    """Say *head* at once, and then one byte after the other, until the client hangs up.

    Attributes:
        hung_up: set when it has.
    """

    def __init__(self, head: bytes, *, pause: float = 0.05, count: int = 200) -> None:
        self.hung_up = threading.Event()
        self._head = head
        self._pause = pause
        self._count = count

    def __call__(self, connection: socket.socket, ended: threading.Event) -> None:
        try:
            connection.sendall(self._head)
            for _ in range(self._count):
                if ended.wait(self._pause):
                    return
                connection.sendall(b"x")
        except OSError:
            self.hung_up.set()


class RawSubscriber:
    """Takes one request per connection; the first *number* meet *behavior*, the others a 204."""

    def __init__(self, behavior: Behavior, number: float = float("inf")) -> None:
        self.requests = 0
        self.times: list[float] = []
        self._behavior = behavior
        self._number = number
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the broker may hang up, and should
            request = b""
            while b"\r\n\r\n" not in request:
                if not (data := connection.recv(65536)):
                    return
                request += data
            with self._lock:
                self.requests += 1
                self.times.append(time.monotonic())
                misbehave = self.requests <= self._number
            if misbehave:
                self._behavior(connection, self._ended)
            else:
                connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


@contextmanager
def raw_subscriber(behavior: Behavior, number: float = float("inf")) -> Iterator[RawSubscriber]:
    subscriber = RawSubscriber(behavior, number)
    try:
        yield subscriber
    finally:
        subscriber.close()
