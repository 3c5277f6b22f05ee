"""One HTTP attempt: POST an event over connections that stay open, and read a bounded answer."""

import math
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlsplit

from rookery.credentials import Outgoing
from rookery.delivery.connection import Answer, Connection, NoAnswer

_REDIRECTION: Final = 300
_PORTS: Final = {"http": 80, "https": 443}
_URL_CHARACTERS: Final = "/?%:@!$&'()*+,;=-._~"  # everything else is percent-encoded


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL, taken apart once."""

    host: str
    port: int
    secure: bool
    start: str
    idle: deque[Connection]


class Transport:
    """POSTs to many hosts and keeps connections open. Safe for all threads."""

    def __init__(
        self,
        *,
        max_answer_bytes: int,
        connections_per_host: int,
        connect_seconds: float = math.inf,
        outgoing: Outgoing | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            max_answer_bytes: a longer answer counts as none.
            connections_per_host: how many stay open to one URL while idle.
            connect_seconds: how much of an attempt's time connecting may take.
            outgoing: how we present ourselves to subscribers, and whom we believe.
        """
        self._max_answer_bytes = max_answer_bytes
        self._connect_seconds = connect_seconds
        self._most_idle = connections_per_host
        self._outgoing = outgoing or Outgoing()
        self._tls = self._outgoing.tls
        self._targets: dict[str, _Target] = {}
        self._closed = False

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,
        *,
        whole: bool = True,
    ) -> Answer | NoAnswer:
        """POST once; *timeout* seconds bound the connection, the wait and the reading.

        Without *whole* the status of an answer is enough, as for `Connection.post`.
        """
        deadline = time.monotonic() + timeout
        try:
            target = self._targets.get(url) or self._target(url)
        except ValueError as exc:
            return NoAnswer(f"the URL cannot be used: {exc}; correct its host or port")
        try:
            head = _head(target.start, {**headers, **self._outgoing.headers()}, len(body))
        except ValueError as exc:
            return NoAnswer(f"the event cannot be written as HTTP headers: {exc}", final=True)
        try:
            answer = self._exchange(target, head, body, deadline, whole=whole)
        except TimeoutError:
            return NoAnswer(f"no answer within {timeout:g} s")
        except OSError as exc:  # no such host, nobody listens, no trust
            return NoAnswer(f"{type(exc).__name__}: {exc}")
        if isinstance(answer, Answer) and answer.status >= _REDIRECTION and answer.body:
            # Before its beginning becomes the reason: half a token would not be found there.
            answer = replace(answer, body=self.hide(answer.body, url))
        return _refuse_coding(answer) if whole else answer

    def hide(self, said: bytes, url: str) -> bytes:
        """Return what was *said* about a request to *url* without the secrets it went with."""
        return self._outgoing.hide(said, url)

    def close(self) -> None:
        """Close the idle connections now, and those in use when they are done."""
        self._closed = True
        for target in self._targets.values():
            while target.idle:
                target.idle.pop().close()

    def _exchange(
        self, target: _Target, head: bytes, body: bytes, deadline: float, *, whole: bool
    ) -> Answer | NoAnswer:
        try:
            connection, fresh = target.idle.pop(), False
        except IndexError:
            connection, fresh = self._connect(target, deadline), True
        while True:
            try:
                answer = connection.post(head, body, deadline, self._max_answer_bytes, whole=whole)
            finally:
                if connection.reusable and len(target.idle) < self._most_idle:
                    target.idle.append(connection)
                    if self._closed:
                        self.close()
                else:
                    connection.close()
            if fresh or not connection.silent:
                return answer
            # It was closed while it was idle: that says nothing about this event.
            connection, fresh = self._connect(target, deadline), True

    def _connect(self, target: _Target, deadline: float) -> Connection:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        seconds = min(left, self._connect_seconds)
        try:
            sock = socket.create_connection((target.host, target.port), seconds)
        except TimeoutError as exc:
            raise ConnectionError(f"not connected within {seconds:.3g} s") from exc
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if target.secure:
                self._tls = self._tls or ssl.create_default_context()
                sock = self._tls.wrap_socket(sock, server_hostname=target.host)
        except BaseException:
            sock.close()
            raise
        return Connection(sock)

    def _target(self, url: str) -> _Target:
        parts = urlsplit(url)
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        # Without the port, which would count for the length of a label.
        host = (parts.hostname or "").encode("idna").decode()
        authority = f"[{host}]" if ":" in host else host
        if parts.port is not None:
            authority = f"{authority}:{parts.port}"
        start = (
            f"POST {quote(path, safe=_URL_CHARACTERS)} HTTP/1.1\r\n"
            f"Host: {authority}\r\nUser-Agent: rookery\r\nAccept-Encoding: identity\r\n"
        )
        return self._targets.setdefault(
            url,
            _Target(
                host=parts.hostname or "",
                port=parts.port or _PORTS[parts.scheme],
                secure=parts.scheme == "https",
                start=start,
                idle=deque(),
            ),
        )


def _head(start: str, headers: Mapping[str, str], length: int) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a value holds a line break")
    return f"{start}{lines}Content-Length: {length}\r\n\r\n".encode("latin-1")


def _refuse_coding(answer: Answer | NoAnswer) -> Answer | NoAnswer:
    """Take a success in a coding that was not asked for as none: its event cannot be read."""
    if isinstance(answer, Answer) and answer.body and 200 <= answer.status < 300:  # noqa: PLR2004
        coding = answer.headers.get("content-encoding", "identity")
        if coding.lower() != "identity":
            return NoAnswer(f"the answer is encoded with {coding!r}, which nobody asked for")
    return answer
