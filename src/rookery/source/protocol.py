"""The port to a queue of bucket notifications."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message, lent to us for a while.

    Attributes:
        id: the queue's name for it, the same every time it is received.
        receipt: what this one loan is given back or settled with.
        body: the notification, as text.
        receives: how often it was received, this time included.
    """

    id: str
    receipt: str
    body: str
    receives: int = 1


class NotificationQueue(Protocol):
    """Lends messages; one that is not deleted in time is lent again.

    Implementations are safe to call from many threads at once. Every method raises
    `QueueUnavailable` when the queue cannot be used at present.
    """

    def receive(self) -> tuple[Message, ...]:
        """Wait for messages; empty when none came within the queue's own waiting time."""
        ...

    def delete(self, messages: Sequence[Message]) -> None:
        """Settle *messages*, at most as many as one `receive` returns."""
        ...

    def postpone(self, message: Message, seconds: int) -> None:
        """Give *message* back: it is lent again in *seconds*."""
        ...
