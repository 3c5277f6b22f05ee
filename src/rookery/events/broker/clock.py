"""Time for schedules, which cannot step while the process runs, and time as people tell it."""

import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch: read from the wall once, then counted by the monotonic clock.

    Backoff survives a wall clock that is set back, and the journal still holds times that mean
    something after a restart.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read both clocks now."""
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self) -> float:
        """Seconds since the epoch, never less than the last answer."""
        return self._offset + self._monotonic()

    def wall(self) -> float:
        """Seconds since the epoch as the wall clock tells now: for what people ask by time.

        It steps when somebody sets the clock, and where `now` stands still, in a suspended
        machine, it goes on.
        """
        return self._wall()
