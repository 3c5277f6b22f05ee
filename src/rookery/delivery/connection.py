"""One HTTP/1.1 connection that stays open: a request goes out, a bounded answer comes in.

The parser is httptools, which is llhttp, Node's own: strict, and in C. urllib3 and http.client
below it were here before; with them, which read headers as e-mail, a delivery cost twice as much.
"""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

_READ_BYTES: Final = 16 * 1024
_HEADER_BYTES: Final = 64 * 1024
_SWITCHING_PROTOCOLS: Final = 101
_OK: Final = 200
# A smaller body goes out with its headers: one call, and one packet.
_ONE_PIECE: Final = 64 * 1024
# So long the rest of an answer may take whose status is enough: most come in one piece, and the
# connection can stay open then.
_REST_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP; the names of *headers* are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why nothing came back.

    Attributes:
        final: whether the same request can never get through.
    """

    reason: str
    final: bool = False


class Connection:
    """Takes one request after the other, from one thread at a time.

    Attributes:
        reusable: whether the answer left the connection fit for another request.
        silent: whether the peer ended the connection before it answered a single byte.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over *sock*, which is connected."""
        self._sock = sock
        self.reusable = False
        self.silent = False

    def post(
        self, head: bytes, body: bytes, deadline: float, max_bytes: int, *, whole: bool = True
    ) -> Answer | NoAnswer:
        """Send a request and read its answer.

        Args:
            head: everything before the body.
            body: the body.
            deadline: by the monotonic clock.
            max_bytes: a longer answer counts as none.
            whole: whether an answer counts with all of its body only. Without, its status is
                enough: of a longer body the beginning comes back, of one that is not there at
                once, or breaks off, nothing.

        Raises:
            TimeoutError: the deadline passed before a single byte of the answer came.
        """
        self.reusable = self.silent = False
        reading = _Reading()
        problem = self._read(reading, head, body, deadline, max_bytes, whole=whole)
        if not problem:
            self.reusable = reading.keeps_alive
            return Answer(reading.status, reading.headers, bytes(reading.body))
        if whole or not reading.answered:
            return NoAnswer(problem)
        # Where a body broke off, half a secret might be left of it, and would not be recognized.
        beginning = reading.body[:max_bytes] if len(reading.body) > max_bytes else b""
        return Answer(reading.status, reading.headers, bytes(beginning))

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _read(  # noqa: PLR0913
        self,
        reading: "_Reading",
        head: bytes,
        body: bytes,
        deadline: float,
        max_bytes: int,
        *,
        whole: bool,
    ) -> str:
        """Send the request, and let *reading* have the answer; return what is wrong with it."""
        hurried = whole
        try:
            self._send(head, body, deadline)
            while not reading.complete:
                self._sock.settimeout(_left(deadline))
                data = self._sock.recv(_READ_BYTES)
                if problem := reading.feed(data) if data else reading.end():
                    self.silent = not reading.seen
                    return problem
                if len(reading.body) > max_bytes:
                    return f"the answer is longer than {max_bytes:,} bytes"
                if reading.answered and not hurried:
                    deadline = min(deadline, time.monotonic() + _REST_SECONDS)
                    hurried = True
        except TimeoutError:
            if reading.seen:
                return "the answer did not end in time"
            raise
        except OSError as exc:  # a reset, or what TLS finds wrong
            self.silent = isinstance(exc, ConnectionError) and not reading.seen
            return f"{type(exc).__name__}: {exc}"
        return ""

    def _send(self, head: bytes, body: bytes, deadline: float) -> None:
        self._sock.settimeout(_left(deadline))
        try:
            if len(body) <= _ONE_PIECE:
                self._sock.sendall(head + body)
            else:
                self._sock.sendall(head)
                self._sock.sendall(body)
        except (BrokenPipeError, ConnectionResetError):
            # A peer that refuses a body may answer and close before it has read everything.
            pass


class _Reading:
    """What has come of one answer; the methods named on_* are the parser's.

    Attributes:
        answered: whether its status and headers are there.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.seen = 0
        self.complete = False
        self.keeps_alive = False
        self.answered = False
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> str:
        """Take *data* in; return what is wrong with it."""
        self.seen += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self.keeps_alive = False
            return ""
        except HttpParserError as exc:
            if self.complete:
                self.keeps_alive = False  # it says more than it was asked
                return ""
            return f"the answer is not HTTP: {exc}"
        if not self.answered and not self.complete and self.seen > _HEADER_BYTES:
            return f"the answer's headers are longer than {_HEADER_BYTES:,} bytes"
        return ""

    def end(self) -> str:
        """Note that no more comes; return what is wrong with that."""
        if not self.seen:
            return "the connection was closed without an answer"
        sized = "content-length" in self.headers or "transfer-encoding" in self.headers
        if not self.answered or sized:
            return f"the connection was closed in the middle of the answer, {self._so_far()}"
        self.complete = True  # RFC 9112, section 6.3: a body without a length ends with it
        return ""

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("an answer to no request")

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.answered = True

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        if self.status < _OK and self.status != _SWITCHING_PROTOCOLS:
            self.headers = {}  # an interim answer, such as 100 Continue
            self.answered = False
            return
        self.complete = True
        self.keeps_alive = self._parser.should_keep_alive()

    def _so_far(self) -> str:
        return f"after {len(self.body)} bytes of its body" if self.answered else "in its headers"


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
