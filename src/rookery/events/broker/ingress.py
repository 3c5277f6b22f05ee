"""Ingress: events over HTTP into the journal; 202 only once they are on disk."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rookery.errors import EventInvalid, JournalUnavailable, RookeryError
from rookery.events.broker import hops
from rookery.events.broker.changes import Append
from rookery.events.broker.entry import entry
from rookery.events.broker.exchange import Response, body_of, empty, headers_of
from rookery.events.broker.journal import Journal
from rookery.events.broker.metrics import Metrics
from rookery.events.broker.trigger import Trigger
from rookery.events.wire import CloudEvent, from_http

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Read = Callable[[Mapping[str, str], bytes], Sequence[CloudEvent]]
"""Reads the events of one HTTP message, or raises a RookeryError."""

_ACCEPTED: Final = empty("202 Accepted")
# For so long after a failed write nobody tries the disk again: senders that repeat a thousand
# times a second are answered at the cost of an answer.
_BREATH_SECONDS: Final = 1.0


class Ingress:
    """Takes events in, as CloudEvents in binary, structured and batched content mode."""

    def __init__(
        self,
        journal: Journal,
        triggers: Sequence[Trigger],
        metrics: Metrics,
        *,
        max_event_bytes: int,
        read: Read = from_http,
    ) -> None:
        """Take in what *read* finds for *triggers*, in requests of up to *max_event_bytes*."""
        self._journal = journal
        self._triggers = triggers
        self._metrics = metrics
        self._max_event_bytes = max_event_bytes
        self._read = read
        self._refusal: tuple[float, str] = (0.0, "")

    def post(self, environ: "WSGIEnvironment") -> Response:
        """Journal the events of a request, all or none.

        Raises:
            RookeryError: why not; nothing was taken in.
        """
        try:
            self._check_journal()
            body = body_of(environ, self._max_event_bytes)
            self._take_in(self._read(headers_of(environ), body))
        except RookeryError as exc:
            self._metrics.refused.labels(exc.code).inc()
            raise
        return _ACCEPTED

    def _check_journal(self) -> None:
        until, message = self._refusal
        if self._journal.failing and self._journal.clock.now() < until:
            raise JournalUnavailable(message)

    def _take_in(self, events: Sequence[CloudEvent]) -> None:
        entries = tuple(entry(self._entering(event), self._triggers) for event in events)
        if not entries:
            return
        try:
            taken = self._journal.make(Append(entries))
        except JournalUnavailable as exc:
            self._refusal = (self._journal.clock.now() + _BREATH_SECONDS, str(exc))
            raise
        if taken:
            self._metrics.accepted.inc(taken)
        if taken < len(entries):
            self._metrics.duplicates.inc(len(entries) - taken)

    def _entering(self, event: CloudEvent) -> CloudEvent:
        entering = hops.enter(event)
        if entering is None:
            self._metrics.dropped.inc()
            raise EventInvalid(
                f"event {event.id!r} has no hops left ({hops.EXTENSION}): it went round in a loop"
            )
        return entering
