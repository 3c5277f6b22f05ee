"""Equals in flight in one process share one computation."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

from rookery.events.wire import CloudEvent

Answered = tuple[CloudEvent, bool]
"""A result, and whether it is a repeat: somebody else computed it, or did so before."""


class Flights:
    """The computations under way in this process, by key. Safe for all threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._in_flight: dict[str, Future[CloudEvent]] = {}

    def share(self, key: str, answer: Callable[[], Answered]) -> Answered:
        """Return what *answer* returns, or what the caller who is at *key* already gets.

        What *answer* raises is raised for everyone who waited. It is never called twice at the
        same time for one key.
        """
        while True:
            with self._lock:
                shared = self._in_flight.get(key)
                if shared is None:
                    mine = self._in_flight[key] = Future()
                    break
            try:
                return shared.result(), True
            except CancelledError:
                continue  # Its thread was stopped, which says nothing about the key.
        return self._fly(key, mine, answer)

    def _fly(self, key: str, mine: Future[CloudEvent], answer: Callable[[], Answered]) -> Answered:
        try:
            answered = answer()
        except BaseException as exc:
            self._land(key)
            if isinstance(exc, Exception):
                mine.set_exception(exc)
            else:
                mine.cancel()
            raise
        self._land(key)
        mine.set_result(answered[0])
        return answered

    def _land(self, key: str) -> None:
        with self._lock:
            del self._in_flight[key]
