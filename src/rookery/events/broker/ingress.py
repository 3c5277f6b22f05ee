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
from rookery.events.broker.writer import Ticket
from rookery.events.wire import CloudEvent, from_http

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Read = Callable[[Mapping[str, str], bytes], Sequence[CloudEvent]]
"""Reads the events of one HTTP message, or raises a RookeryError."""

_ACCEPTED: Final = empty("202 Accepted")
# For so long after a failed write nobody tries the disk again: senders that repeat a thousand
# times a second are answered at the cost of an answer.
_BREATH_SECONDS: Final = 1.0


class Receipt:
    """Events on their way to the disk, and what their sender is told once they are there."""

    def __init__(self, ticket: Ticket) -> None:
        """Wait for *ticket*."""
        self._ticket = ticket

    def when_ready(self, call: Callable[[], None]) -> None:
        """Call *call* once, when `response` no longer waits."""
        self._ticket.when_finished(call)

    def response(self) -> Response:
        """Wait for the disk, and return what to answer.

        Raises:
            JournalUnavailable: nothing was taken in.
        """
        self._ticket.result()
        return _ACCEPTED


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

    def post(self, environ: "WSGIEnvironment") -> "Receipt":
        """Hand the events of a request to the journal, all or none, without waiting for it.

        Raises:
            RookeryError: why not; nothing was taken in.
        """
        try:
            self._check_journal()
            body = body_of(environ, self._max_event_bytes)
            events = self._read(headers_of(environ), body)
            entries = tuple(entry(self._entering(event), self._triggers) for event in events)
            ticket = self._journal.submit(Append(entries))
        except RookeryError as exc:
            self._metrics.refused.labels(exc.code).inc()
            raise
        ticket.when_finished(lambda: self._count(ticket, len(entries)))
        return Receipt(ticket)

    def _check_journal(self) -> None:
        until, message = self._refusal
        if self._journal.failing and self._journal.clock.now() < until:
            raise JournalUnavailable(message)

    def _count(self, ticket: Ticket, events: int) -> None:
        if ticket.error is not None:
            self._refusal = (self._journal.clock.now() + _BREATH_SECONDS, str(ticket.error))
            self._metrics.refused.labels(ticket.error.code).inc()
            return
        if ticket.count:
            self._metrics.accepted.inc(ticket.count)
        if ticket.count < events:
            self._metrics.duplicates.inc(events - ticket.count)

    def _entering(self, event: CloudEvent) -> CloudEvent:
        entering = hops.enter(event)
        if entering is None:
            self._metrics.dropped.inc()
            raise EventInvalid(
                f"event {event.id!r} has no hops left ({hops.EXTENSION}): it went round in a loop"
            )
        return entering
