"""One connection: how far behind its client is, refusals as JSON, and a close that is read.

waitress answers its own refusals in plain text and closes at once, which resets the connection
under a client that still sends, so that it never learns why.
"""

import json
import socket
from contextlib import suppress
from http import HTTPStatus
from time import monotonic
from typing import Final

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from rookery.errors import Overloaded, RequestTooSlow
from rookery.serving.limits import Limits, Pace, Waiting
from rookery.serving.parser import Parser, Refusal
from rookery.status import body_of, bounded_body, headers_of, status_of

# How long a refused client may go on sending, altogether and without sending anything.
_LINGER_SECONDS: Final = 30.0
_LINGER_IDLE_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 256 * 1024


class _Task(WSGITask):  # type: ignore[misc]
    """A request whose answer, during a drain, tells the client to open another connection."""

    def build_response_header(self) -> bytes:
        if self.channel.server.draining:
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header


class _JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers what never reached the application in the shape of every other error of ours."""

    def execute(self) -> None:
        refusal = self.request.error
        if isinstance(refusal, Refusal):
            status, reason, document = refusal.code, refusal.reason, body_of(refusal.error)
            self.response_headers.extend(headers_of(refusal.error).items())
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            reason, document = status.phrase, bounded_body("Unexpected", refusal.body)
        body = json.dumps(document).encode()
        self.status = f"{int(status)} {reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.channel.refused = True
        self.channel.server.on_refused(document["error"], int(status))
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that knows what it waits for, and since when.

    Attributes:
        busy: a request is being received, worked on or answered.
    """

    task_class = _Task
    error_task_class = _JsonErrorTask
    parser_class = Parser
    refused: bool = False
    request: Parser | None
    close_when_flushed: bool
    will_close: bool
    total_outbufs_len: int
    _linger_until: float | None = None
    _heard: float = 0.0

    def __init__(self, *arguments: object, **options: object) -> None:
        self._waits_since = monotonic()  # connected, or the last request was answered
        self._began: float | None = None  # the present request's first byte came
        self._body = self._answer = Pace(self._waits_since)
        super().__init__(*arguments, **options)

    @property
    def busy(self) -> bool:
        """Whether a request is being received, worked on or answered."""
        return bool(self.request or self.requests or self.total_outbufs_len)

    def waiting(self, now: float) -> Waiting | None:
        """Return how long we have been waiting for the client; None while it waits for us."""
        client = str(self.addr[0])
        if self._linger_until is not None:
            return Waiting(client, now - self._waits_since, answered=True)
        if self.total_outbufs_len:
            return Waiting(client, self._answer.behind(now))
        if self.requests:
            return None
        if self.request is not None and self.request.headers_finished:
            return Waiting(client, self._body.behind(now))
        if self.request is None and self._began is None:
            return Waiting(client, now - self._waits_since, answered=True)
        return Waiting(client, now - (self._began or self._waits_since))

    def enforce(self, limits: Limits, now: float) -> None:
        """Refuse or close what has been waited for too long; in the thread that reads only."""
        waiting = self.waiting(now)
        if waiting is None or self._linger_until is not None:
            return
        if self.total_outbufs_len:
            if waiting.behind > limits.body_seconds:
                self.handle_close()
        elif waiting.answered:
            if waiting.behind > limits.idle_seconds:
                self.handle_close()
        elif self.request is not None and self.request.headers_finished:
            if waiting.behind > limits.body_seconds:
                self._refuse(f"the body came too slowly for {limits.body_seconds:g} s")
        elif waiting.behind > limits.header_seconds:
            self._refuse(f"the headers did not arrive within {limits.header_seconds:g} s")

    def give_way(self) -> None:
        """Close at once for somebody else; say why to a client that is still sending."""
        if self.request is not None and not self.requests and self._linger_until is None:
            error = Overloaded("there are too many connections, and this one hung; try again")
            self.server.on_refused(error.code, int(status_of(error)))
            with suppress(OSError):
                self.socket.send(_written(error))
        self.handle_close()

    def received(self, data: bytes) -> bool:
        """Take in what the client sent."""
        now = monotonic()
        if self._began is None:
            self._began = now
        before = self.request
        in_body = before is not None and before.headers_finished
        taken = bool(super().received(data))
        if in_body and self.request is before:
            self._body.moved(len(data), now)
        else:
            self._body = Pace(now)
        return taken

    def service(self) -> None:
        """Work on one request and answer it, in a worker thread."""
        # Only here: empty lines between requests must not count as a new beginning.
        self._began = None
        super().service()
        self._waits_since = now = monotonic()
        self._body = Pace(now)  # of a request that was sent behind this one

    def write_soon(self, data: bytes) -> int:
        """Add *data* to what is to be sent."""
        if not self.total_outbufs_len:
            self._answer = Pace(monotonic())
        return int(super().write_soon(data))

    def send(self, data: bytes, do_close: bool = True) -> int:  # noqa: FBT001, FBT002
        """Send what the socket takes of *data*; return how much."""
        sent = int(super().send(data, do_close=do_close))
        if sent:
            self._answer.moved(sent, monotonic())
        return sent

    def send_continue(self) -> None:
        """Tell a client that asked first to send its body, where we want one."""
        # waitress waits for a body after this, also of a request that it has just refused, and
        # also where none was announced: boto3 sends `Expect: 100-continue` with an empty object,
        # and would wait for its answer for ever.
        request = self.request
        if request is None:
            return
        announced = request.content_length or request.chunked
        if announced and request.error is None:
            super().send_continue()
        else:
            request.expect_continue = False

    def readable(self) -> bool:
        """Whether to read from this connection now."""
        if self._linger_until is None:
            return bool(super().readable())
        now = monotonic()
        if now > self._linger_until or now > self._heard + _LINGER_IDLE_SECONDS:
            self.handle_close()
            return False
        return True

    def handle_read(self) -> None:
        """Read what has arrived; throw it away once the client is refused."""
        if self._linger_until is None:
            super().handle_read()
        elif self.recv(_LINGER_BYTES):
            self._heard = monotonic()
        elif self.connected:
            self.handle_close()

    def handle_write(self) -> None:
        """Send what is waiting; let a refused client read its answer before it is closed."""
        lingers = self.refused and self.close_when_flushed and not self.will_close
        if lingers and self._linger_until is None:
            self._flush_exception(self._flush_some)
            if not self.total_outbufs_len and self.connected:
                self.close_when_flushed = False
                self._heard = monotonic()
                self._linger_until = self._heard + _LINGER_SECONDS
                with suppress(OSError):  # the client has gone, which the next read will tell
                    self.socket.shutdown(socket.SHUT_WR)
            return
        super().handle_write()

    def _refuse(self, why: str) -> None:
        with self.requests_lock:
            request = self.request or Parser(self.adj)
            request.refuse(RequestTooSlow(f"{why}; send it faster"))
            self.request = None
            self.requests.append(request)
            self.server.add_task(self)


def _written(error: Overloaded) -> bytes:
    """Return *error* as a whole HTTP answer."""
    status, body = status_of(error), json.dumps(body_of(error)).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    headers |= {"Connection": "close"} | headers_of(error)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {int(status)} {status.phrase}\r\n{lines}\r\n".encode() + body
