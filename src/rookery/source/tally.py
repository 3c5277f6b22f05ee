"""What a source has done so far."""

import threading


class Tally:
    """Counts, safe to add to from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"received": 0, "delivered": 0, "deadletters": 0, "postponed": 0}

    def add(
        self, *, received: int = 0, delivered: int = 0, deadletters: int = 0, postponed: int = 0
    ) -> None:
        """Add messages received and postponed, events delivered, and dead letters."""
        with self._lock:
            self._counts["received"] += received
            self._counts["delivered"] += delivered
            self._counts["deadletters"] += deadletters
            self._counts["postponed"] += postponed

    def __getitem__(self, name: str) -> int:
        with self._lock:
            return self._counts[name]

    def __str__(self) -> str:
        with self._lock:
            return (
                "{received} messages received, {delivered} events delivered, "
                "{deadletters} dead letters, {postponed} messages postponed"
            ).format(**self._counts)
