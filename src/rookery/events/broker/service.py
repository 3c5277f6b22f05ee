"""The broker as a whole: opened, running, stopped."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rookery.credentials import Outgoing
from rookery.delivery.transport import Transport
from rookery.errors import JournalUnavailable
from rookery.events.broker import reading
from rookery.events.broker.app import App
from rookery.events.broker.clock import Clock
from rookery.events.broker.dispatch import Dispatcher
from rookery.events.broker.ingress import Ingress, Read
from rookery.events.broker.inspection import Inspection
from rookery.events.broker.journal import Journal, open_journal
from rookery.events.broker.metrics import Metrics
from rookery.events.broker.retention import Retention, keep_pruning
from rookery.events.broker.trigger import Trigger
from rookery.events.broker.worker import Tools
from rookery.events.wire import from_http

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the broker allows.

    Attributes:
        event_bytes: the longest request, and the longest reply.
        waiting: requests to `/events` that may wait at the same time.
        drain_seconds: how long attempts in flight may take when the broker stops.
    """

    event_bytes: int = 8 * 1024 * 1024
    waiting: int = 8
    drain_seconds: float = 10.0


class Broker:
    """A running broker.

    Attributes:
        app: the WSGI application; serve it with at least `Limits.waiting` + 2 threads.
        journal: what it has taken in.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        parts: Tools,
        dispatcher: Dispatcher,
        draining: threading.Event,
    ) -> None:
        """See `open_broker`."""
        self.app = app
        self.journal = parts.journal
        self._metrics = parts.metrics
        self._dispatcher = dispatcher
        self._draining = draining

    def drain(self) -> None:
        """Be not ready, end every wait, start no delivery; events are still taken in."""
        self._draining.set()
        self.journal.interrupt()
        self._dispatcher.drain()

    def refused(self, code: str, status: int) -> None:
        """Count a request that the server refused before it reached the application."""
        del status
        self._metrics.refused.labels(code).inc()


@contextmanager
def open_broker(  # noqa: PLR0913
    path: Path,
    triggers: Sequence[Trigger],
    *,
    limits: Limits | None = None,
    retention: Retention | None = None,
    read: Read = from_http,
    metrics: Metrics | None = None,
    outgoing: Outgoing | None = None,
) -> Iterator[Broker]:
    """Open the journal at *path*, take up its deliveries, and stop cleanly in the end.

    Args:
        path: the journal's file.
        triggers: who gets what.
        limits: what is allowed.
        retention: how long delivered events stay.
        read: reads the events of one POST.
        metrics: where to count.
        outgoing: how it presents itself to subscribers: all of them get its token.

    Raises:
        JournalUnavailable: the journal cannot be opened, or another broker uses it.
    """
    limits, retention = limits or Limits(), retention or Retention()
    triggers, metrics = tuple(triggers), metrics or Metrics()
    clock, draining = Clock(), threading.Event()
    with open_journal(path, triggers, clock) as journal:
        transport = Transport(
            max_answer_bytes=limits.event_bytes,
            connections_per_host=max((each.concurrency for each in triggers), default=1),
            outgoing=outgoing,
        )
        stopping = threading.Event()
        tools = Tools(journal, triggers, transport, metrics, stopping)
        dispatcher = Dispatcher(tools)
        metrics.watch(lambda: journal.ask(reading.counts), lambda: _waits(journal))
        app = App(
            Ingress(journal, triggers, metrics, max_event_bytes=limits.event_bytes, read=read),
            Inspection(journal, triggers, draining, max_waiting=limits.waiting),
            metrics,
            ready=_Readiness(journal, draining).problem,
            alive=lambda: _dead(journal, dispatcher),
        )
        names = [each.name for each in triggers]
        pruning = threading.Thread(
            target=keep_pruning,
            args=(journal, retention, names, stopping),
            name="broker-retention",
            daemon=True,
        )
        dispatcher.start()
        pruning.start()
        broker = Broker(app, tools, dispatcher, draining)
        try:
            yield broker
        finally:
            broker.drain()
            dispatcher.stop(limits.drain_seconds)
            pruning.join()
            transport.close()


class _Readiness:
    """Whether events are taken in; after a failed commit only once the journal has been tried."""

    def __init__(self, journal: Journal, draining: threading.Event) -> None:
        self._journal = journal
        self._draining = draining
        self._failures = 0

    def problem(self) -> str | None:
        if self._draining.is_set():
            return "draining"
        if (failures := self._journal.failures) != self._failures:
            try:
                self._journal.try_out()
            except JournalUnavailable as exc:
                return str(exc)
            self._failures = failures
        return None


def _waits(journal: Journal) -> dict[str, float]:
    now = journal.clock.wall()
    since = journal.ask(reading.oldest_pending)
    return {trigger: max(0.0, now - received) for trigger, received in since.items()}


def _dead(journal: Journal, dispatcher: Dispatcher) -> str | None:
    return None if journal.alive and dispatcher.alive else "a thread of the broker has died"
