"""The HTTP sink: one POST per event in binary mode, with retries, over pooled connections."""

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from rookery.credentials import Outgoing, shown
from rookery.delivery.overrides import parse_overrides
from rookery.delivery.retry import RetryPolicy, is_retried, parse_retry_after
from rookery.errors import DeliveryRejected, SettingsInvalid, SinkDenied, SinkUnavailable
from rookery.events.wire import CloudEvent, to_binary

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_log = logging.getLogger(__name__)

_EXCERPT_BYTES: Final = 1024
# Read before it is cut, so that no secret is cut in two and half of it shown.
_READ_BYTES: Final = 8 * _EXCERPT_BYTES


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds one attempt may take to connect, and to wait for each part of the answer."""

    connect: float = 2.0
    read: float = 10.0


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    excerpt: str
    retry_after: float | None


class HttpSink:
    """Posts events to one URL. Holds sockets: made by `connect_sink`, after a snapshot only."""

    def __init__(  # noqa: PLR0913
        self,
        url: str,
        pool: "PoolManager",
        *,
        extensions: Mapping[str, str],
        policy: RetryPolicy,
        outgoing: Outgoing,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Post to *url* through *pool* as *outgoing* says, setting *extensions* on every event."""
        self._url = url
        self._shown = shown(url)  # errors reach clients
        self._pool = pool
        self._extensions = dict(extensions)
        self._policy = policy
        self._outgoing = outgoing
        self._sleep = sleep
        self._jitter = jitter

    def send(self, event: CloudEvent) -> None:
        """Deliver *event*: returns on the first 2xx, whatever its body.

        Raises:
            SinkUnavailable: every attempt failed in a way that a later one may not.
            SinkDenied: the last one had a token that the sink does not accept.
            DeliveryRejected: the sink answered with a final status, or the event cannot be
                written as HTTP at all.
        """
        if self._extensions:
            event = replace(event, extensions={**event.extensions, **self._extensions})
        headers, body = to_binary(event)
        began = time.monotonic()
        failures = 0
        while True:
            outcome = self._attempt(event, headers, body)
            if outcome is None:
                return
            failures += 1
            pause = self._policy.pause(
                failures,
                elapsed=time.monotonic() - began,
                fraction=self._jitter(),
                retry_after=outcome.retry_after,
            )
            if pause is None:
                raise outcome.kind(
                    f"event {event.id!r} was not accepted by {self._shown} in {failures} "
                    f"attempt(s); the last one: {outcome.problem}"
                ) from outcome.cause
            _log.debug("attempt %d for %r: %s", failures, event.id, outcome.problem)
            self._sleep(pause)

    def close(self) -> None:
        """Close every pooled connection."""
        self._pool.clear()

    def _attempt(
        self, event: CloudEvent, headers: dict[str, str], body: bytes
    ) -> "_Failure | None":
        """Post once; None means accepted."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            # Anew each time: the token may have changed since the last attempt.
            answer = self._post({**headers, **self._outgoing.headers()}, body)
        except HTTPError as exc:
            return _Failure(_shorten(exc), cause=exc)
        except ValueError as exc:
            # http.client refuses line breaks and non-Latin-1 text in a header value.
            raise DeliveryRejected(
                f"event {event.id!r} cannot be written as HTTP headers: {exc}"
            ) from exc
        if 200 <= answer.status < 300:  # noqa: PLR2004
            return None
        problem = f"HTTP {answer.status} {answer.excerpt!r}"
        if answer.status == HTTPStatus.UNAUTHORIZED:
            # Nothing is wrong with the event: it waits until somebody has mended the token.
            return _Failure(f"{problem}; check ROOKERY_SINK_TOKEN", kind=SinkDenied)
        if not is_retried(answer.status):
            raise DeliveryRejected(f"{self._shown} refused event {event.id!r} for good: {problem}")
        return _Failure(problem, retry_after=answer.retry_after)

    def _post(self, headers: dict[str, str], body: bytes) -> _Answer:
        response = self._pool.request(
            "POST",
            self._url,
            body=body,
            headers=headers,
            redirect=False,
            retries=False,
            preload_content=False,
        )
        excerpt = self._outgoing.hide(_excerpt(response), self._url)[:_EXCERPT_BYTES]
        return _Answer(
            response.status,
            excerpt.decode(errors="replace"),
            parse_retry_after(response.headers.get("Retry-After"), now=datetime.now(UTC)),
        )


@dataclass(frozen=True, slots=True)
class _Failure:
    problem: str
    kind: type[SinkUnavailable] = SinkUnavailable
    retry_after: float | None = None
    cause: Exception | None = None


def connect_sink(  # noqa: PLR0913
    url: str,
    *,
    overrides: str = "",
    policy: RetryPolicy | None = None,
    timeouts: Timeouts | None = None,
    concurrency: int = 10,
    outgoing: Outgoing | None = None,
) -> HttpSink:
    """Make a sink for *url*; opens no connection before the first event.

    Args:
        url: where to POST, `http` or `https`.
        overrides: the text of K_CE_OVERRIDES.
        policy: when to try again.
        timeouts: how long one attempt may take.
        concurrency: connections kept open for threads that send at the same time.
        outgoing: the token to send, and the certificates to believe.

    Raises:
        SettingsInvalid: *url* or *overrides* cannot be used.
    """
    import urllib3  # noqa: PLC0415

    extensions = parse_overrides(overrides)
    check_sink_url(url)
    limits, outgoing = timeouts or Timeouts(), outgoing or Outgoing()
    pool = urllib3.PoolManager(
        num_pools=1,
        maxsize=concurrency,
        timeout=urllib3.Timeout(connect=limits.connect, read=limits.read),
        ssl_context=outgoing.tls,
    )
    return HttpSink(
        url, pool, extensions=extensions, policy=policy or RetryPolicy(), outgoing=outgoing
    )


def check_sink_url(url: str, setting: str = "K_SINK") -> None:
    """Refuse what is no address of a sink; *setting* is what named it.

    Raises:
        SettingsInvalid: it is no http or https URL, or holds a password.
    """
    from urllib3.exceptions import LocationParseError  # noqa: PLC0415
    from urllib3.util import parse_url  # noqa: PLC0415

    try:
        parts = parse_url(url)
    except LocationParseError as exc:
        # Not shown: what cannot be parsed may hold a password all the same.
        raise SettingsInvalid(
            [f"{setting} must be an http or https URL; it cannot be parsed"]
        ) from exc
    if parts.auth is not None:
        # Errors name the URL: a password in it would be in logs and answers.
        raise SettingsInvalid(
            [f"{setting}: a user or password in the URL is not used; leave it out"]
        )
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise SettingsInvalid([f"{setting} must be an http or https URL, not {shown(url)!r}"])


def _excerpt(response: "BaseHTTPResponse") -> bytes:
    """Read the start of the answer's body, and leave the connection fit for the next request."""
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        data = response.read(_READ_BYTES + 1, decode_content=False)
    except HTTPError:
        # The status line is the acknowledgement; a body that breaks off changes nothing.
        response.close()
        return b""
    if len(data) > _READ_BYTES:
        response.close()
    else:
        response.release_conn()
    return data


def _shorten(error: Exception) -> str:
    """Describe *error* without urllib3's connection objects in it."""
    reason = getattr(error, "reason", None) or error
    return f"{type(reason).__name__}: {str(reason).partition(': ')[2] or reason}"
