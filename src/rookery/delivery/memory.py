"""A sink in memory: keeps what it is sent, and fails when it is told to."""

import threading
from collections import deque

from rookery.errors import RookeryError
from rookery.events.wire import CloudEvent


class MemorySink:
    """Accepts every event, except where `fail` announced an error for a coming one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[CloudEvent] = []
        self._errors: deque[RookeryError] = deque()

    @property
    def events(self) -> tuple[CloudEvent, ...]:
        """What was delivered, in order."""
        with self._lock:
            return tuple(self._events)

    def fail(self, *errors: RookeryError) -> None:
        """Let the next sends raise *errors*, one each, in order."""
        with self._lock:
            self._errors.extend(errors)

    def send(self, event: CloudEvent) -> None:
        """Keep *event*, or raise the next announced error."""
        with self._lock:
            if self._errors:
                raise self._errors.popleft()
            self._events.append(event)
