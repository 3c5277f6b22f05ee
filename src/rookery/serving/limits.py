"""What clients may take before they are answered, and who goes when there is no room.

Pure decisions in seconds and bytes; `channel` measures, `listener` acts.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

BYTES_PER_SECOND: Final = 4096
"""Whoever sends or takes at least so many is never too slow: less than any modem's."""

GRACE_SECONDS: Final = 0.5
"""So long nobody has to give way."""

HEADER_BYTES: Final = 64 * 1024
"""The longest request line and headers: a CloudEvent may need 64 KiB (CloudEvents 1.0, 7)."""

HEADER_FIELDS: Final = 200
"""The most headers of one request."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may take, and how many there may be.

    Attributes:
        header_seconds: how long a request's line and headers may take to arrive.
        body_seconds: how far a body that arrives, or an answer that is read, may fall behind
            `BYTES_PER_SECOND`.
        idle_seconds: how long a connection may stay open with no request on it.
        connections: how many may be open; the next one takes the place of those that hang.
    """

    header_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 75.0
    connections: int = 1000


class Pace:
    """How many seconds a transfer is behind `BYTES_PER_SECOND`.

    What was fast at first earns no credit: a body of which one byte is missing is late as soon
    as one that has just begun.
    """

    __slots__ = ("_at", "_behind")

    def __init__(self, now: float) -> None:
        """Start at *now*, in seconds of one monotonic clock, as everywhere here."""
        self._at = now
        self._behind = 0.0

    def moved(self, size: int, now: float) -> None:
        """Take note of *size* bytes that have arrived or gone."""
        self._behind = max(0.0, self.behind(now) - size / BYTES_PER_SECOND)
        self._at = now

    def behind(self, now: float) -> float:
        """Return the seconds it is behind at *now*, at least 0."""
        return self._behind + max(0.0, now - self._at)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A connection that we wait for.

    Attributes:
        client: its address.
        behind: for how many seconds we wait, or how far it is behind.
        answered: it has its answer, or never asked: closing it takes nothing from anybody.
    """

    client: str
    behind: float
    answered: bool = False


def dispensable(waiting: Iterable[tuple[T, Waiting]], number: int) -> list[T]:
    """Return the *number* connections to close first when there is no room for new ones.

    Those of the client that has most of them come first, so that one client cannot push out the
    others; then what has its answer, then what is furthest behind. Whoever has just connected, or
    keeps pace, stays.
    """
    every = tuple(pair for pair in waiting if pair[1].behind >= GRACE_SECONDS)
    held = Counter(one.client for _, one in every)
    every = tuple(
        sorted(
            every,
            key=lambda pair: (held[pair[1].client], pair[1].answered, pair[1].behind),
            reverse=True,
        )
    )
    return [connection for connection, _ in every[:number]]
