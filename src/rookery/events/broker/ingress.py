"""Ingress: events over HTTP into the journal; 202 only once they are on disk."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rookery.errors import EventInvalid, RookeryError
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

_ACCEPTED = empty("202 Accepted")


class Ingress:
    """Takes CloudEvents in binary, structured and batched content mode."""

    def __init__(
        self,
        journal: Journal,
        triggers: Sequence[Trigger],
        metrics: Metrics,
        *,
        max_event_bytes: int,
    ) -> None:
        """Take in events for *triggers*, requests of up to *max_event_bytes*."""
        self._journal = journal
        self._triggers = triggers
        self._metrics = metrics
        self._max_event_bytes = max_event_bytes

    def post(self, environ: "WSGIEnvironment") -> Response:
        """Journal the events of a request, all or none.

        Raises:
            RookeryError: why not; nothing was taken in.
        """
        try:
            body = body_of(environ, self._max_event_bytes)
            self._take_in(from_http(headers_of(environ), body))
        except RookeryError as exc:
            self._metrics.refused.labels(exc.code).inc()
            raise
        return _ACCEPTED

    def _take_in(self, events: Sequence[CloudEvent]) -> None:
        entries = tuple(entry(self._entering(event), self._triggers) for event in events)
        if not entries:
            return
        taken = self._journal.make(Append(entries))
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
