"""Settling: deliveries that are done are written down in groups, behind the workers' backs.

A worker that waited for its own commit would deliver nothing meanwhile. An event whose settling a
crash prevents is delivered once more, as it would be when the crash came before the worker's own.
"""

import logging
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter

from rookery.errors import JournalUnavailable
from rookery.events.broker.changes import Settle
from rookery.events.broker.grouping import next_group
from rookery.events.broker.journal import Journal
from rookery.events.broker.lane import Lane
from rookery.events.broker.metrics import Metrics
from rookery.events.broker.reading import Item

logger = logging.getLogger(__name__)

_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Done:
    """A delivery that has succeeded: *item* goes back to *lane* once *change* is durable."""

    lane: Lane
    item: Item
    change: Settle
    counter: Counter


class Settler:
    """One thread for the deliveries of all triggers."""

    def __init__(self, journal: Journal, metrics: Metrics, stopping: threading.Event) -> None:
        """Start the thread; once *stopping*, a commit that fails is not tried again."""
        self._journal = journal
        self._metrics = metrics
        self._stopping = stopping
        self._queue: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="broker-settler", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def settle(self, done: Done) -> None:
        """Write *done* down soon."""
        self._queue.put(done)

    def stop(self, seconds: float) -> None:
        """Write down what has come, and stop; give up after so many *seconds*."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        while group := next_group(self._queue):
            try:
                self._settle(group)
            except Exception:
                # A bug: without this thread nothing would ever be settled again.
                logger.exception("%d deliveries may not be written down", len(group))
            for lane in {done.lane for done in group}:
                lane.give_back(*(done.item for done in group if done.lane is lane))

    def _settle(self, group: Sequence[Done]) -> None:
        if self._write([done.change for done in group]):
            for done in group:
                done.counter.inc()
                if done.change.replies:
                    replies = self._metrics.replies.labels(done.change.trigger)
                    replies.inc(len(done.change.replies))

    def _write(self, changes: Sequence[Settle]) -> bool:
        """Make *changes* durable, however long that takes; False when the broker stops first."""
        while True:
            try:
                self._journal.make(*changes)
            except JournalUnavailable:
                # Undone, they would be delivered once more: worth some patience.
                if self._stopping.wait(_PAUSE):
                    return False
            else:
                return True
