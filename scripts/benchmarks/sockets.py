"""A load generator and a subscriber that cost little: they share the machine with the broker.

Both write prepared bytes and read with one search each, so that what is measured is the broker.
"""

import multiprocessing
import selectors
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from time import perf_counter

_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
_END = b"\r\n\r\n"
_READ = 256 * 1024


class _Connection:
    """A socket and what has been read from it so far."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.unread = b""


def post_all(address: tuple[str, int], requests: Iterator[bytes], connections: int) -> float:
    """Send *requests* over so many *connections*, one at a time on each; return the seconds.

    Answers are without a body, and any but 2xx ends the benchmark.
    """
    started = perf_counter()
    with selectors.DefaultSelector() as selector:
        for _, request in zip(range(connections), requests, strict=False):
            connection = _Connection(socket.create_connection(address))
            selector.register(connection.sock, selectors.EVENT_READ, connection)
            connection.sock.sendall(request)
        while selector.get_map():
            for key, _ in selector.select():
                connection = key.data
                connection.unread += connection.sock.recv(_READ)
                if not connection.unread.endswith(_END):
                    continue
                if not connection.unread.startswith(b"HTTP/1.1 2"):
                    raise SystemExit(f"bench: the broker answers {connection.unread!r}")
                connection.unread = b""
                if (following := next(requests, None)) is None:
                    selector.unregister(connection.sock)
                    connection.sock.close()
                else:
                    connection.sock.sendall(following)
    return perf_counter() - started


@contextmanager
def subscriber(reply: bytes = _NO_CONTENT) -> Iterator[tuple[str, Callable[[], int]]]:
    """Run a subscriber in a process of its own; yield its URL and how to read what it has seen.

    It reads requests that come in one piece without a body's end to look for: those of the
    broker, whose events here have no data.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    seen = multiprocessing.Value("q", 0)
    process = multiprocessing.Process(target=_answer, args=(listener, seen, reply), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    listener.close()
    try:
        yield url, lambda: seen.value
    finally:
        process.terminate()
        process.join()


def _answer(listener: socket.socket, seen: "Synchronized[int]", reply: bytes) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ, None)
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    connection = _Connection(listener.accept()[0])
                    selector.register(connection.sock, selectors.EVENT_READ, connection)
                    continue
                connection = key.data
                try:
                    data = connection.sock.recv(_READ)
                except ConnectionResetError:  # a broker that was killed
                    data = b""
                if not data:
                    selector.unregister(connection.sock)
                    connection.sock.close()
                    continue
                connection.unread += data
                requests = connection.unread.count(_END)
                if requests:
                    connection.unread = connection.unread[connection.unread.rfind(_END) + 4 :]
                    connection.sock.sendall(reply * requests)
                    seen.value += requests
