"""Whether the other side answers: one log line when that changes, none in between."""

import logging
import threading

_log = logging.getLogger(__name__)


class Link:
    """The state of a connection that many threads use."""

    def __init__(self, name: str) -> None:
        """Call the other side *name* in the log; it counts as up until it fails."""
        self._name = name
        self._lock = threading.Lock()
        self._failures = 0

    @property
    def failures(self) -> int:
        """How many failures there were in a row; 0 while it is up."""
        with self._lock:
            return self._failures

    def up(self) -> None:
        """Note a success."""
        with self._lock:
            failures, self._failures = self._failures, 0
        if failures:
            _log.info("%s is back after %d failure(s)", self._name, failures)

    def down(self, problem: object) -> int:
        """Note a failure because of *problem*; return how many there were in a row."""
        with self._lock:
            self._failures += 1
            failures = self._failures
        if failures == 1:
            _log.warning("%s is unavailable, trying again: %s", self._name, problem)
        return failures
