"""A repeat is answered from what is remembered; the window that remembers, in memory."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from rookery.events.flights import Answered, Flights
from rookery.events.wire import CloudEvent


class Dedup(Protocol):
    """Answers a key at most once while it is remembered.

    Implementations are safe to call from many threads at once, and never fail by themselves: one
    that cannot remember computes.
    """

    def run(self, key: str, compute: Callable[[], CloudEvent]) -> Answered:
        """Return the result for *key*, and whether it is a repeat.

        *compute* runs where no result is remembered and none is on its way; what it raises is
        raised here, for everyone in this process who waited, and is not remembered.
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
        self._flights = Flights()
        self._lock = threading.Lock()
        self._finished: OrderedDict[str, tuple[float, CloudEvent]] = OrderedDict()

    def run(self, key: str, compute: Callable[[], CloudEvent]) -> Answered:
        """Return the result for *key*, and whether it is a repeat."""
        return self._flights.share(key, lambda: self._answer(key, compute))

    def _answer(self, key: str, compute: Callable[[], CloudEvent]) -> Answered:
        remembered = self._remembered(key)
        if remembered is not None:
            return remembered, True
        result = compute()
        self._remember(key, result)
        return result, False

    def _remember(self, key: str, result: CloudEvent) -> None:
        if self._ttl_seconds <= 0:
            return
        with self._lock:
            self._finished[key] = (self._clock() + self._ttl_seconds, result)
            self._finished.move_to_end(key)
            if len(self._finished) > self._entries:
                self._finished.popitem(last=False)

    def _remembered(self, key: str) -> CloudEvent | None:
        with self._lock:
            expires, result = self._finished.get(key, (0.0, None))
            if result is None:
                return None
            if self._clock() >= expires:
                del self._finished[key]
                return None
            self._finished.move_to_end(key)
            return result
