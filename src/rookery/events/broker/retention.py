"""Retention: settled events go when they are old, or when the journal grows too large."""

import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rookery.errors import JournalUnavailable
from rookery.events.broker import letters, reading
from rookery.events.broker.changes import Drop, Forget
from rookery.events.broker.journal import Journal

logger = logging.getLogger(__name__)

_CHUNK: Final = 500
_GIBIBYTE: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Retention:
    """How long events are kept that every trigger has; pending ones always are.

    Attributes:
        seconds: after this they go. Until then they can be replayed, and a repeat is absorbed.
        dead_seconds: after this dead letters go, whatever the size; 0 keeps them for ever.
        max_bytes: above this size of the journal the oldest delivered events go earlier.
        interval: seconds between two looks.
    """

    seconds: float = 7 * 86_400
    dead_seconds: float = 30 * 86_400
    max_bytes: int = 2 * _GIBIBYTE
    interval: float = 60.0


def prune(
    journal: Journal, retention: Retention, triggers: Sequence[str], stopping: threading.Event
) -> int:
    """Forget what *retention* no longer wants, a little at a time; return how many events.

    Once *stopping*, what is left waits for another time.

    Raises:
        JournalUnavailable: the journal cannot be used; what is gone is gone.
    """
    # Where the two differ, somebody has set the clock: what might be young enough stays.
    now = min(journal.clock.now(), journal.clock.wall())
    letters_before = now - retention.dead_seconds if retention.dead_seconds > 0 else -math.inf
    _give_up(journal, letters_before, stopping)
    # Deliveries may also wait for triggers that are not configured at present.
    names = tuple({*triggers, *(name for name, _ in journal.ask(reading.counts))})
    total = after = 0
    while not stopping.is_set():
        offsets = journal.ask(
            reading.forgettable,
            after,
            names,
            before=now - retention.seconds,
            letters_before=letters_before,
            max_bytes=retention.max_bytes,
            limit=_CHUNK,
        )
        if not offsets:
            break
        total += journal.make(Forget(tuple(offsets), names))
        after = offsets[-1]
    return total


def _give_up(journal: Journal, before: float, stopping: threading.Event) -> None:
    """Drop the dead letters of deliveries that died *before*; their events go as all others."""
    while not stopping.is_set() and (old := journal.ask(letters.died_before, before, _CHUNK)):
        offsets: dict[str, list[int]] = {}
        for name in old:
            offsets.setdefault(name.trigger, []).append(name.offset)
        for trigger, of_trigger in offsets.items():
            gone = journal.make(Drop(trigger, tuple(of_trigger)))
            logger.warning("dropped %d old dead letters of trigger %s", gone, trigger)


def keep_pruning(
    journal: Journal, retention: Retention, triggers: Sequence[str], stopping: threading.Event
) -> None:
    """Prune now and at every interval, until *stopping*."""
    while not stopping.is_set():
        try:
            if gone := prune(journal, retention, triggers, stopping):
                logger.info("forgot %d old events", gone)
        except JournalUnavailable as exc:
            logger.warning("old events stay: %s", exc)
        except Exception:
            # A bug: without this thread the journal would only grow.
            logger.exception("old events stay")
        stopping.wait(retention.interval)
