"""Retention: settled events go when they are old, or when the journal grows too large."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rookery.errors import JournalUnavailable
from rookery.events.broker import reading
from rookery.events.broker.changes import Forget
from rookery.events.broker.journal import Journal

logger = logging.getLogger(__name__)

_CHUNK: Final = 500
_GIBIBYTE: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Retention:
    """How long events are kept that every trigger has; pending and dead ones always are.

    Attributes:
        seconds: after this they go. Until then they can be replayed, and a repeat is absorbed.
        max_bytes: above this size of the journal the oldest go earlier.
        interval: seconds between two looks.
    """

    seconds: float = 7 * 86_400
    max_bytes: int = 2 * _GIBIBYTE
    interval: float = 60.0


def prune(journal: Journal, retention: Retention, triggers: Sequence[str]) -> int:
    """Forget what *retention* no longer wants, a little at a time; return how many events.

    Raises:
        JournalUnavailable: the journal cannot be used; what is gone is gone.
    """
    # Deliveries may also wait for triggers that are not configured at present.
    names = tuple({*triggers, *(name for name, _ in journal.ask(reading.counts))})
    total = 0
    while True:
        offsets = journal.ask(
            reading.forgettable,
            journal.clock.now() - retention.seconds,
            retention.max_bytes,
            _CHUNK,
        )
        gone = journal.make(Forget(tuple(offsets), names)) if offsets else 0
        total += gone
        if not gone:
            return total


def keep_pruning(
    journal: Journal, retention: Retention, triggers: Sequence[str], stopping: threading.Event
) -> None:
    """Prune now and at every interval, until *stopping*."""
    while not stopping.is_set():
        try:
            if gone := prune(journal, retention, triggers):
                logger.info("forgot %d old events", gone)
        except JournalUnavailable as exc:
            logger.warning("old events stay: %s", exc)
        stopping.wait(retention.interval)
