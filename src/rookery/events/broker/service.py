"""The broker as a whole: opened, running, stopped."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rookery.errors import JournalUnavailable
from rookery.events.broker import reading
from rookery.events.broker.app import App
from rookery.events.broker.changes import Probe
from rookery.events.broker.clock import Clock
from rookery.events.broker.dispatch import Dispatcher, Tools
from rookery.events.broker.ingress import Ingress
from rookery.events.broker.inspection import Inspection
from rookery.events.broker.journal import Journal, open_journal
from rookery.events.broker.metrics import Metrics
from rookery.events.broker.retention import Retention, keep_pruning
from rookery.events.broker.transport import Transport
from rookery.events.broker.trigger import Trigger

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
def open_broker(
    path: Path,
    triggers: Sequence[Trigger],
    *,
    limits: Limits | None = None,
    retention: Retention | None = None,
) -> Iterator[Broker]:
    """Open the journal at *path*, take up its deliveries, and stop cleanly in the end.

    Raises:
        JournalUnavailable: the journal cannot be opened, or another broker uses it.
    """
    limits, retention = limits or Limits(), retention or Retention()
    triggers = tuple(triggers)
    clock, metrics, draining = Clock(), Metrics(), threading.Event()
    with open_journal(path, triggers, clock) as journal:
        transport = Transport(
            max_answer_bytes=limits.event_bytes,
            connections_per_host=max((each.concurrency for each in triggers), default=1),
        )
        stopping = threading.Event()
        tools = Tools(journal, triggers, transport, metrics, stopping)
        dispatcher = Dispatcher(tools)
        metrics.watch(lambda: journal.ask(reading.counts))
        app = App(
            Ingress(journal, triggers, metrics, max_event_bytes=limits.event_bytes),
            Inspection(journal, triggers, draining, max_waiting=limits.waiting),
            metrics,
            ready=lambda: _not_ready(journal, draining),
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


def _not_ready(journal: Journal, draining: threading.Event) -> str | None:
    if draining.is_set():
        return "draining"
    if journal.failing:
        try:
            journal.make(Probe())
        except JournalUnavailable as exc:
            return str(exc)
    return None


def _dead(journal: Journal, dispatcher: Dispatcher) -> str | None:
    return None if journal.alive and dispatcher.alive else "a thread of the broker has died"
