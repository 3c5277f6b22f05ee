"""One process, many threads: the WSGI server, its signals and its drain.

waitress reads requests on one thread and hands complete ones to a pool, so a slow client costs no
worker, and it counts a body's bytes while they stream. What it lacks is here: refusals as JSON,
a close that lets the client read them, and a drain that finishes what is in flight.
"""

import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from types import FrameType
from typing import TYPE_CHECKING, Final

from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from rookery.errors import BodyTooLarge, PortTaken
from rookery.status import bounded_body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_log = logging.getLogger(__name__)


def _ignore(*_: object) -> None:
    """Do nothing: the default of every callback."""


# How long a refused client may go on sending, altogether and without sending anything.
_LINGER_SECONDS: Final = 30.0
_LINGER_IDLE_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 256 * 1024
_IDLE_SECONDS: Final = 75


class _Task(WSGITask):  # type: ignore[misc]
    """A request whose answer, during a drain, tells the client to open another connection."""

    def build_response_header(self) -> bytes:
        if self.channel.server.draining:
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header


class _JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers what waitress itself refuses in the shape of every other error of ours."""

    def execute(self) -> None:
        error, limit = self.request.error, self.channel.server.adj.max_request_body_size - 1
        status, reason = error.code, error.reason
        code, message = "RequestInvalid", f"{reason}: {error.body}"
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            length = self.request.content_length or None
            code, message = "BodyTooLarge", str(BodyTooLarge(limit, length=length))
        elif status == HTTPStatus.NOT_IMPLEMENTED:
            # A transfer coding we do not know: final, while brokers retry every 5xx.
            status, reason = HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST.phrase
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            code = "Unexpected"
        body = json.dumps(bounded_body(code, message)).encode()
        self.status = f"{int(status)} {reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.channel.refused = True
        self.channel.server.on_refused(code, int(status))
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that, having refused a body, reads on until the client has seen why.

    Closing with unread bytes in the socket resets it, and the client loses the answer.
    """

    task_class = _Task
    error_task_class = _JsonErrorTask
    refused: bool = False
    close_when_flushed: bool
    will_close: bool
    _linger_until: float | None = None
    _heard: float = 0.0

    def send_continue(self) -> None:
        # waitress waits for a body after this, also of a request that it has just refused, and
        # also where none was announced: boto3 sends `Expect: 100-continue` with an empty object,
        # and would wait for its answer for ever.
        announced = self.request.content_length or self.request.chunked
        if announced and self.request.error is None:
            super().send_continue()
        else:
            self.request.expect_continue = False

    def readable(self) -> bool:
        if self._linger_until is None:
            return bool(super().readable())
        now = time.monotonic()
        if now > self._linger_until or now > self._heard + _LINGER_IDLE_SECONDS:
            self.handle_close()
            return False
        return True

    def handle_read(self) -> None:
        if self._linger_until is None:
            super().handle_read()
        elif self.recv(_LINGER_BYTES):
            self._heard = time.monotonic()
        elif self.connected:
            self.handle_close()

    def handle_write(self) -> None:
        lingers = self.refused and self.close_when_flushed and not self.will_close
        if lingers and self._linger_until is None:
            self._flush_exception(self._flush_some)
            if not self.total_outbufs_len and self.connected:
                self.close_when_flushed = False
                self._heard = time.monotonic()
                self._linger_until = self._heard + _LINGER_SECONDS
                with suppress(OSError):  # the client has gone, which the next read will tell
                    self.socket.shutdown(socket.SHUT_WR)
            return
        super().handle_write()

    @property
    def busy(self) -> bool:
        """Whether a request is being received, worked on or answered."""
        return bool(self.request or self.requests or self.total_outbufs_len)


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
    ) -> None:
        """Bind *host*:*port*; the arguments are those of `serve`."""
        self._drain_seconds = drain_seconds
        # Re-entrant, and no Event: a signal handler may interrupt whoever holds its lock.
        self._closing = threading.RLock()
        self._closed = False
        self._stopping = False
        listener = _bind(host, port)
        self.url = _url(host, listener)
        self._server = create_server(
            app,
            sockets=[listener],
            threads=threads,
            max_request_body_size=max_body_bytes + 1,
            channel_timeout=_IDLE_SECONDS,
            connection_limit=1000,
            asyncore_use_poll=True,
            ident=None,
            recv_bytes=65536,
        )
        self._server.channel_class = _Channel
        self._server.on_refused = on_refused
        self._server.draining = False
        # waitress warns whenever a request waits for a thread; the gate in front of the model
        # is what bounds and reports waiting.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)

    def run(self, on_drain: Callable[[], None] = _ignore) -> None:
        """Serve until `stop`, then finish what is in flight within the drain time."""
        while not self._stopping:
            self._turn(1.0)
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
