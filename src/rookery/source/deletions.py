"""Delivered messages leave the queue together, a moment later.

A delete costs a request, as much work as the delivery itself on a machine that also runs the
queue, and nobody waits for it. Collected, ten messages cost one.
"""

import threading
import time
from collections.abc import Sequence
from typing import Final

from rookery.errors import QueueUnavailable
from rookery.link import Link
from rookery.source.protocol import Message, NotificationQueue

_BATCH: Final = 10  # what every queue takes at once


class Deletions:
    """Deletes in a thread of its own. Thread-safe."""

    def __init__(self, queue: NotificationQueue, link: Link, *, linger_seconds: float) -> None:
        """Delete from *queue*, whose failures *link* notes.

        Args:
            queue: what the messages are from.
            link: the state of the connection to it.
            linger_seconds: how long a message may wait for others; well below the time for which
                it is lent, or it is lent again meanwhile.
        """
        self._queue = queue
        self._link = link
        self._linger_seconds = linger_seconds
        self._changed = threading.Condition()
        self._waiting: list[Message] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="source-delete", daemon=True)

    def start(self) -> None:
        """Start deleting."""
        self._thread.start()

    def add(self, messages: Sequence[Message]) -> None:
        """Delete *messages* soon; what cannot be deleted will be received again."""
        with self._changed:
            self._waiting.extend(messages)
            self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Delete what is left at once; return whether that was done within *seconds*."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._queue.delete(batch)
            except QueueUnavailable as exc:
                self._link.down(exc)

    def _next_batch(self) -> list[Message]:
        """Wait for a full batch, or for as long as its first message may wait; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            deadline = time.monotonic() + self._linger_seconds
            self._changed.wait_for(
                lambda: len(self._waiting) >= _BATCH or self._closed,
                deadline - time.monotonic(),
            )
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            return batch
