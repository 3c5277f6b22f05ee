"""A repeat is answered from memory, and equals in flight share one computation."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Protocol

from rookery.events.wire import CloudEvent


class Dedup(Protocol):
    """Answers a key at most once while it is remembered.

    Implementations are safe to call from many threads at once.
    """

    def run(self, key: str, compute: Callable[[], CloudEvent]) -> tuple[CloudEvent, bool]:
        """Return the result for *key*, and whether it is a repeat.

        *compute* runs where no result is remembered and none is on its way; what it raises is
        raised here, for everyone who waited, and is not remembered.
        """
        ...


class DedupWindow:
    """A `Dedup` in this process's memory.

    Made when a function connects, after any snapshot: a clone must not trust what its donor
    remembered.

    Args:
        ttl_seconds: how long a result is remembered after it was computed; 0 remembers nothing,
            and equals in flight still share one computation.
        entries: how many results are remembered; the least recently asked for goes first.
        clock: seconds that never go back.
    """

    def __init__(
        self, ttl_seconds: float, entries: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl_seconds = ttl_seconds
        self._entries = entries
        self._clock = clock
        self._lock = threading.Lock()
        self._finished: OrderedDict[str, tuple[float, CloudEvent]] = OrderedDict()
        self._in_flight: dict[str, Future[CloudEvent]] = {}

    def run(self, key: str, compute: Callable[[], CloudEvent]) -> tuple[CloudEvent, bool]:
        """Return the result for *key*, and whether it is a repeat."""
        while True:
            with self._lock:
                remembered = self._remembered(key)
                if remembered is not None:
                    return remembered, True
                shared = self._in_flight.get(key)
                if shared is None:
                    mine = self._in_flight[key] = Future()
                    break
            try:
                return shared.result(), True
            except CancelledError:
                continue  # Its thread was stopped, which says nothing about the key.
        return self._compute(key, mine, compute), False

    def _compute(
        self, key: str, mine: Future[CloudEvent], compute: Callable[[], CloudEvent]
    ) -> CloudEvent:
        try:
            result = compute()
        except BaseException as exc:
            self._land(key, None)
            if isinstance(exc, Exception):
                mine.set_exception(exc)
            else:
                mine.cancel()
            raise
        self._land(key, result)
        mine.set_result(result)
        return result

    def _land(self, key: str, result: CloudEvent | None) -> None:
        with self._lock:
            del self._in_flight[key]
            if result is not None and self._ttl_seconds > 0:
                self._finished[key] = (self._clock() + self._ttl_seconds, result)
                self._finished.move_to_end(key)
                if len(self._finished) > self._entries:
                    self._finished.popitem(last=False)

    def _remembered(self, key: str) -> CloudEvent | None:
        expires, result = self._finished.get(key, (0.0, None))
        if result is None:
            return None
        if self._clock() >= expires:
            del self._finished[key]
            return None
        self._finished.move_to_end(key)
        return result
