"""A queue in memory, with the visibility timeout that makes SQS what it is."""

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from rookery.source.protocol import Message


class MemoryQueue:
    """Lends each message for *visibility_seconds*; an empty receive takes *wait_seconds*."""

    def __init__(
        self, *, visibility_seconds: float = 30, wait_seconds: float = 1, batch: int = 10
    ) -> None:
        """Make an empty queue; one receive returns at most *batch* messages."""
        self._visibility = visibility_seconds
        self._wait = wait_seconds
        self._batch = batch
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._messages: dict[str, Message] = {}
        self._visible_at: dict[str, float] = {}

    def send(self, body: str) -> str:
        """Add a message; return its id."""
        with self._changed:
            name = str(next(self._numbers))
            self._messages[name] = Message(id=name, receipt=name, body=body, receives=0)
            self._visible_at[name] = 0.0
            self._changed.notify_all()
            return name

    def __len__(self) -> int:
        """How many messages are not deleted."""
        with self._changed:
            return len(self._messages)

    def receive(self) -> tuple[Message, ...]:
        """Lend what is visible, as the port says."""
        deadline = time.monotonic() + self._wait
        with self._changed:
            while not (names := self._visible()) and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left, self._next_visible()))
            return tuple(self._lend(name) for name in names[: self._batch])

    def delete(self, messages: Sequence[Message]) -> None:
        """Settle *messages*."""
        with self._changed:
            for message in messages:
                self._messages.pop(message.id, None)
                self._visible_at.pop(message.id, None)

    def postpone(self, message: Message, seconds: int) -> None:
        """Make *message* visible again in *seconds*."""
        with self._changed:
            if message.id in self._messages:
                self._visible_at[message.id] = time.monotonic() + seconds
                self._changed.notify_all()

    def _visible(self) -> list[str]:
        now = time.monotonic()
        return [name for name, moment in self._visible_at.items() if moment <= now]

    def _next_visible(self) -> float:
        moment = min(self._visible_at.values(), default=float("inf"))
        return max(0.0, moment - time.monotonic())

    def _lend(self, name: str) -> Message:
        message = self._messages[name]
        lent = replace(message, receives=message.receives + 1)
        self._messages[name] = lent
        self._visible_at[name] = time.monotonic() + self._visibility
        return lent
