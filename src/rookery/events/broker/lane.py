"""A lane: the deliveries of one trigger in one state, handed to its workers one by one.

The journal is the queue; a lane holds one page of it, so that a hundred thousand pending events
take no more memory than a hundred.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from rookery.events.broker.reading import Item

PAGE: Final = 128
# While the journal cannot be written, no more than so many deliveries wait to be written down.
MOST_TAKEN: Final = 256 + PAGE


class Lane:
    """Hands out each due delivery to exactly one worker at a time."""

    def __init__(
        self,
        fetch: Callable[[int], list[Item]],
        load: Callable[[list[Item]], list[Item]] = lambda items: items,
    ) -> None:
        """Start empty.

        Args:
            fetch: asks the journal for up to so many deliveries, the first first.
            load: adds their events to deliveries that are about to be handed out.
        """
        self._fetch = fetch
        self._load = load
        # Held while the journal is asked, so that a delivery that is settled meanwhile is still
        # known to be taken. Never held by `wake`, which the journal's thread calls.
        self._filling = threading.Lock()
        self._page: deque[Item] = deque()
        self._taken: dict[int, Item] = {}
        self._passed_over: set[int] = set()
        self._exhausted_at = -1
        self._changed = threading.Condition()
        self._version = 0
        self._stopped = False

    def wake(self, count: int) -> None:
        """Say that *count* more deliveries are due."""
        with self._changed:
            self._version += 1
            self._changed.notify(count)

    def stop(self) -> None:
        """Make every `take` return None."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take(self) -> Item | None:
        """Wait for a delivery that is due and not taken; None when the lane is stopped.

        Raises:
            JournalUnavailable: the journal cannot be read.
        """
        while not self._stopped:
            with self._filling:
                version = self._version  # before the journal is asked: a wake meanwhile counts
                if len(self._taken) < MOST_TAKEN:
                    if not self._page and self._exhausted_at != version:
                        self._fill(version)
                    if self._page:
                        item = self._page.popleft()
                        self._taken[item.offset] = item
                        return item
            with self._changed:
                if self._version == version and not self._stopped:
                    self._changed.wait()
        return None

    def give_back(self, *items: Item) -> None:
        """Say that the journal knows what became of *items*."""
        with self._filling:
            wanted = len(items) if len(self._taken) >= MOST_TAKEN else 0
            for item in items:
                self._taken.pop(item.offset, None)
                if item.offset in self._passed_over:
                    # It was queued again while it was taken, and nobody else will look.
                    self._passed_over.discard(item.offset)
                    wanted += 1
        if wanted:
            self.wake(wanted)

    def _fill(self, version: int) -> None:
        limit = PAGE + len(self._taken)
        items = self._fetch(limit)
        fresh = []
        for item in items:
            taken = self._taken.get(item.offset)
            if taken is None:
                fresh.append(item)
            elif (taken.attempts, taken.next_at) != (item.attempts, item.next_at):
                self._passed_over.add(item.offset)
        self._page.extend(self._load(fresh))
        if len(items) < limit:
            self._exhausted_at = version
        if len(self._page) > 1:
            with self._changed:
                self._changed.notify(len(self._page) - 1)
