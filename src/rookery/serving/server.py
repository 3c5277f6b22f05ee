"""One process, many threads: the WSGI server, its signals and its drain.

waitress reads requests on one thread and hands complete ones to a pool, so a slow client costs no
worker, and it counts a body's bytes while they stream. What it lacks is here and in the modules
that this one uses: limits in `limits`, `parser` and `chunked`, room for new clients in `listener`,
refusals that are read in `channel`, and a drain that finishes what is in flight.
"""

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

from waitress import wasyncore

from rookery.errors import PortTaken
from rookery.serving.limits import Limits
from rookery.serving.listener import Listener

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_log = logging.getLogger(__name__)

_TURN_SECONDS: Final = 0.5  # how long a deadline may be overstepped when nothing else happens


def _ignore(*_: object) -> None:
    """Do nothing: the default of every callback."""


class Server:
    """A bound server: `run` blocks until `stop` is called from another thread or a signal."""

    def __init__(  # noqa: PLR0913
        self,
        app: "WSGIApplication",
        *,
        host: str,
        port: int,
        threads: int,
        max_body_bytes: int,
        drain_seconds: float,
        on_refused: Callable[[str, int], None] = _ignore,
        limits: Limits | None = None,
    ) -> None:
        """Bind *host*:*port*; the arguments are those of `serve`."""
        self._drain_seconds = drain_seconds
        # Re-entrant, and no Event: a signal handler may interrupt whoever holds its lock.
        self._closing = threading.RLock()
        self._closed = False
        self._stopping = False
        listener = _bind(host, port)
        self.url = _url(host, listener)
        self._server = Listener(
            app,
            listener,
            threads=threads,
            max_body_bytes=max_body_bytes,
            limits=limits or Limits(),
            on_refused=on_refused,
        )
        # waitress warns whenever a request waits for a thread; the gate in front of the model
        # is what bounds and reports waiting.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)

    def run(self, on_drain: Callable[[], None] = _ignore) -> None:
        """Serve until `stop`, then finish what is in flight within the drain time."""
        while not self._stopping:
            self._turn(_TURN_SECONDS)
        on_drain()
        self._server.draining = True
        self._turn(0)  # accept what the kernel has already queued for us
        wasyncore.dispatcher.close(self._server)
        deadline = time.monotonic() + self._drain_seconds
        while self._busy() and time.monotonic() < deadline:
            self._turn(0.05)
        if left := self._busy():
            _log.warning(
                "%d request(s) unfinished after %.0f s of drain", left, self._drain_seconds
            )
        self.close()

    def stop(self) -> None:
        """Ask `run` to drain and return; callable from any thread or signal handler."""
        with self._closing:
            self._stopping = True
            if not self._closed:
                self._server.pull_trigger()

    def close(self) -> None:
        """Close every socket and end the worker threads."""
        with self._closing:
            self._closed = True
        self._server.task_dispatcher.shutdown(timeout=1)
        wasyncore.dispatcher.close(self._server)
        wasyncore.close_all(self._server._map)  # noqa: SLF001

    def _turn(self, timeout: float) -> None:
        self._server.sweep()
        wasyncore.loop(timeout=timeout, use_poll=True, map=self._server._map, count=1)  # noqa: SLF001

    def _busy(self) -> int:
        return sum(channel.busy for channel in list(self._server.active_channels.values()))


def serve(  # noqa: PLR0913
    app: "WSGIApplication",
    *,
    host: str,
    port: int,
    threads: int,
    max_body_bytes: int,
    drain_seconds: float,
    on_listening: Callable[[str], None] = _ignore,
    on_drain: Callable[[], None] = _ignore,
    on_refused: Callable[[str, int], None] = _ignore,
    limits: Limits | None = None,
) -> None:
    """Serve *app* until SIGTERM or SIGINT, then finish what is in flight and return.

    Call it from the main thread: Python delivers signals nowhere else.

    Args:
        app: the application.
        host: the address to listen on.
        port: the port to listen on; 0 picks a free one.
        threads: worker threads.
        max_body_bytes: a longer body is refused with 413, by its declared length at once and
            else while it streams.
        drain_seconds: how long work in flight may take to finish.
        on_listening: called once with the URL when the port is bound.
        on_drain: called once when the signal arrives, before requests are finished.
        on_refused: called with error code and status for what never reached *app*.
        limits: what clients may take; the defaults without it.

    Raises:
        PortTaken: the address is in use or may not be bound.
    """
    server = Server(
        app,
        host=host,
        port=port,
        threads=threads,
        max_body_bytes=max_body_bytes,
        drain_seconds=drain_seconds,
        on_refused=on_refused,
        limits=limits,
    )
    with stopped_by_signals(server.stop):
        on_listening(server.url)
        server.run(on_drain)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT call *stop* instead of ending the process; main thread only."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as exc:
        raise PortTaken(
            f"cannot listen on {host}:{port}: {exc.strerror or exc}; "
            "stop what uses it or choose another port"
        ) from exc


def _url(host: str, listener: socket.socket) -> str:
    """Return an address a client on this machine can use, whatever we listen on."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(  # noqa: S104
        host, f"[{host}]" if ":" in host else host
    )
    return f"http://{shown}:{listener.getsockname()[1]}"
