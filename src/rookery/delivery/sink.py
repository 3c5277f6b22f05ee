"""The HTTP sink: one POST per event in binary mode, with retries, over open connections."""

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from rookery.credentials import Outgoing, shown
from rookery.delivery.connection import NoAnswer
from rookery.delivery.overrides import parse_overrides
from rookery.delivery.retry import RetryPolicy, is_retried, parse_retry_after
from rookery.delivery.transport import Transport
from rookery.errors import DeliveryRejected, SettingsInvalid, SinkDenied, SinkUnavailable
from rookery.events.wire import CloudEvent, to_binary

_log = logging.getLogger(__name__)

_EXCERPT_BYTES: Final = 1024
# Read before it is cut, so that no secret is cut in two and half of it shown.
_READ_BYTES: Final = 8 * _EXCERPT_BYTES


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds one attempt may take to connect, and in all, however slowly the answer comes."""

    connect: float = 2.0
    attempt: float = 10.0


class HttpSink:
    """Posts events to one URL. Holds sockets: made by `connect_sink`, after a snapshot only."""

    def __init__(  # noqa: PLR0913
        self,
        url: str,
        transport: Transport,
        *,
        extensions: Mapping[str, str],
        policy: RetryPolicy,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Post to *url* through *transport*, setting *extensions* on every event.

        Args:
            url: the sink.
            transport: what the events go over.
            extensions: set on every event, whatever it says itself.
            policy: when to try again.
            seconds: how long one attempt may take.
            sleep: waits between two attempts.
            jitter: a random number in [0, 1) for each wait.
        """
        self._url = url
        self._shown = shown(url)  # errors reach clients
        self._transport = transport
        self._extensions = dict(extensions)
        self._policy = policy
        self._seconds = seconds
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
                )
            _log.debug("attempt %d for %r: %s", failures, event.id, outcome.problem)
            self._sleep(pause)

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def _attempt(
        self, event: CloudEvent, headers: dict[str, str], body: bytes
    ) -> "_Failure | None":
        """Post once; None means accepted."""
        # The status line is the acknowledgment: what follows it changes nothing.
        answer = self._transport.post(self._url, headers, body, self._seconds, whole=False)
        if isinstance(answer, NoAnswer):
            if answer.final:
                raise DeliveryRejected(f"event {event.id!r} cannot be sent: {answer.reason}")
            return _Failure(answer.reason)
        if 200 <= answer.status < 300:  # noqa: PLR2004
            return None
        said = answer.body[:_EXCERPT_BYTES].decode(errors="replace")
        problem = f"HTTP {answer.status} {said!r}"
        if answer.status == HTTPStatus.UNAUTHORIZED:
            # Nothing is wrong with the event: it waits until somebody has mended the token.
            return _Failure(f"{problem}; check ROOKERY_SINK_TOKEN", kind=SinkDenied)
        if not is_retried(answer.status):
            raise DeliveryRejected(f"{self._shown} refused event {event.id!r} for good: {problem}")
        asked = parse_retry_after(answer.headers.get("retry-after"), now=datetime.now(UTC))
        return _Failure(problem, retry_after=asked)


@dataclass(frozen=True, slots=True)
class _Failure:
    problem: str
    kind: type[SinkUnavailable] = SinkUnavailable
    retry_after: float | None = None


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
    extensions = parse_overrides(overrides)
    check_sink_url(url)
    limits = timeouts or Timeouts()
    transport = Transport(
        max_answer_bytes=_READ_BYTES,
        connections_per_host=concurrency,
        connect_seconds=limits.connect,
        outgoing=outgoing,
    )
    return HttpSink(
        url,
        transport,
        extensions=extensions,
        policy=policy or RetryPolicy(),
        seconds=limits.attempt,
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
