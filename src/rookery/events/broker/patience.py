"""Patience with a subscriber that is down: one attempt at a time asks whether it is back.

Without it every pending event is tried and put off by itself: thousands of attempts, each of them a
write to the journal, and each event late by its own wait once the subscriber is back.
"""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Final

from rookery.events.broker.backoff import Backoff
from rookery.events.broker.outcome import Delivered, Failed

logger = logging.getLogger(__name__)

_PAUSES: Final = Backoff(delay=0.1, maximum=2.0)


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to make one attempt.

    Attributes:
        asking: whether it is the one that asks whether the subscriber is back.
    """

    asking: bool


class Patience:
    """Lets attempts pass, until so many in a row have failed; then one after every pause."""

    def __init__(self, name: str, tolerance: float, pauses: Backoff = _PAUSES) -> None:
        """Call the subscriber *name* in the log.

        Args:
            name: who it is.
            tolerance: so many failures in a row, less one, are chance; infinity is never patient.
            pauses: the waits between attempts.
        """
        self._name = name
        self._tolerance = tolerance
        self._pauses = pauses
        self._changed = threading.Condition()
        self._failures = 0
        self._asking = False
        self._ask_at = 0.0
        self._stopped = False

    def enter(self) -> Pass | None:
        """Wait until an attempt may be made, and say how it went with `note`; None: do not."""
        with self._changed:
            while not self._stopped and self._failures >= self._tolerance:
                left = self._ask_at - time.monotonic()
                if not self._asking and left <= 0:
                    self._asking = True
                    return Pass(asking=True)
                self._changed.wait(None if self._asking else left)
            return None if self._stopped else Pass(asking=False)

    def note(self, outcome: Delivered | Failed, passed: Pass) -> None:
        """Learn from the *outcome* of the attempt of *passed* whether the subscriber is there.

        An attempt from before the outage may end late: somebody else still asks then.
        """
        with self._changed:
            if isinstance(outcome, Failed) and outcome.retry:
                self._failures += 1
                over = self._failures - self._tolerance + 1
                if over > 0:
                    pause = self._pauses.wait(int(over), outcome.retry_after)
                    self._ask_at = time.monotonic() + pause
                if over == 1:
                    logger.warning(
                        "%s is down, asking again and again: %s", self._name, outcome.reason
                    )
            else:
                if self._failures >= self._tolerance:
                    logger.info("%s is back after %d failures", self._name, self._failures)
                self._failures = 0
            if passed.asking:
                self._asking = False
            self._changed.notify_all()

    def stop(self) -> None:
        """Let nobody pass, and nobody wait, any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
