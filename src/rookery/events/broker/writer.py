"""Group commit: many threads hand in changes, one thread makes them durable together.

While one commit waits for the disk the next changes queue up, so a slow disk means larger
transactions, not fewer events.
"""

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from rookery.errors import JournalUnavailable
from rookery.events.broker.changes import Change
from rookery.events.broker.clock import Clock
from rookery.events.broker.database import unavailable
from rookery.events.broker.grouping import next_group
from rookery.events.broker.reading import newest
from rookery.events.broker.transaction import Committed, commit

logger = logging.getLogger(__name__)


class Ticket:
    """Changes on their way to the disk, all or none."""

    __slots__ = ("_done", "changes", "count", "error")

    def __init__(self, changes: Sequence[Change]) -> None:
        """Start unfinished."""
        self.changes = changes
        self.count: int | None = None
        self.error: JournalUnavailable | None = None
        # A bare lock: an Event costs several times as much, and this is once per event.
        self._done = threading.Lock()
        self._done.acquire()

    def finish(self) -> None:
        """Let the waiting thread go on. Once only."""
        self._done.release()

    def result(self) -> int:
        """Wait for the commit; return how many rows the changes touched.

        Raises:
            JournalUnavailable: nothing of it was written.
        """
        with self._done:
            pass
        # Only what a commit has counted was written, whatever went wrong on the way there.
        if self.count is None:
            raise self.error or JournalUnavailable("the journal's thread has died; try again")
        return self.count


class Writer:
    """Owns the one connection that writes."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        clock: Clock,
        on_commit: Callable[[Committed], None],
    ) -> None:
        """Start the thread; *on_commit* is called in it after every commit and must be quick."""
        self._path = path
        self._connection = connection
        self._clock = clock
        self._on_commit = on_commit
        self._tickets: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._head = newest(connection)
        self._closed = False
        self._handing_in = threading.Lock()
        self.failing = False
        self.failures = 0
        self._thread = threading.Thread(target=self._run, name="broker-journal", daemon=True)
        self._thread.start()

    @property
    def head(self) -> int:
        """The newest offset that is durable; 0 before the first event."""
        return self._head

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def submit(self, *changes: Change) -> Ticket:
        """Hand in *changes*; the ticket tells when they are durable, all or none.

        Raises:
            JournalUnavailable: the journal is closed.
        """
        ticket = Ticket(changes)
        with self._handing_in:
            if self._closed:
                raise JournalUnavailable(f"the journal {self._path} is closed; try again")
            self._tickets.put(ticket)
        return ticket

    def close(self) -> None:
        """Make durable what was handed in, and stop."""
        with self._handing_in:
            self._closed = True
            self._tickets.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while group := next_group(self._tickets):
                self._commit(group)
        finally:
            # Also when this thread dies of a bug: nobody may wait for ever.
            with self._handing_in:
                self._closed = True
            while not self._tickets.empty():
                if (ticket := self._tickets.get_nowait()) is not None:
                    ticket.error = JournalUnavailable(f"the journal {self._path} is closed")
                    ticket.finish()

    def _commit(self, group: Sequence[Ticket]) -> None:
        try:
            done = self._write([change for ticket in group for change in ticket.changes])
        except JournalUnavailable as exc:
            self.failing = True
            self.failures += 1
            for ticket in group:
                ticket.error = exc
        else:
            self.failing = False
            self._head = done.head
            counts = iter(done.counts)
            for ticket in group:
                ticket.count = sum(islice(counts, len(ticket.changes)))
            self._tell(done)
        finally:
            for ticket in group:
                ticket.finish()

    def _write(self, changes: Sequence[Change]) -> Committed:
        try:
            return commit(
                self._connection,
                changes,
                head=self._head,
                now=self._clock.now(),
                received=self._clock.wall(),
            )
        except sqlite3.Error as exc:
            if not self.failing:
                logger.error("%s", unavailable(self._path, exc))  # noqa: TRY400 - no traceback
            raise unavailable(self._path, exc) from exc
        except Exception as exc:
            # No memory, or a bug: those who wait must not take it for written, and the next change
            # may well be.
            logger.exception("a change was not written to the journal %s", self._path)
            raise JournalUnavailable(
                f"the journal {self._path} could not be written: {exc!r}; see the broker's log"
            ) from exc

    def _tell(self, done: Committed) -> None:
        try:
            self._on_commit(done)
        except Exception:
            logger.exception("what was written to the journal was not passed on")
