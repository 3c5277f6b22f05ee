"""The journal: events and deliveries on disk, before anybody is told that they were accepted."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from rookery.events.broker.changes import Change, Probe
from rookery.events.broker.clock import Clock
from rookery.events.broker.database import (
    DEAD,
    DEAD_LETTERING,
    Readers,
    connect,
    journal_errors,
    locked,
    require_room,
)
from rookery.events.broker.transaction import Committed
from rookery.events.broker.trigger import Trigger
from rookery.events.broker.writer import Ticket, Writer

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

Queued = Mapping[tuple[str, int], int]


class Journal:
    """Events in the order they came, and what is still to be delivered. Safe for all threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Clock) -> None:
        """Take over *connection*, which writes; see `open_journal`."""
        self.clock = clock
        self._path = path
        self._readers = Readers(path)
        self._grown = threading.Condition()
        self._listener: Callable[[Queued], None] = lambda _: None
        self._writer = Writer(path, connection, clock, self._committed)

    def listen(self, listener: Callable[[Queued], None]) -> None:
        """Call *listener* after each commit with the deliveries it made due, by trigger, state."""
        self._listener = listener

    def submit(self, *changes: Change) -> Ticket:
        """Hand in *changes*; their ticket tells when they are durable, all or none."""
        return self._writer.submit(*changes)

    def make(self, *changes: Change) -> int:
        """Make *changes*, all or none, and return, when durable, how many rows they touched.

        Raises:
            JournalUnavailable: nothing of them was written.
        """
        return self._writer.submit(*changes).result()

    def ask(
        self,
        query: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Answer a *query* of `reading`.

        Raises:
            JournalUnavailable: the journal cannot be read.
        """
        with self._readers.lend() as connection:
            return query(connection, *args, **kwargs)

    @property
    def head(self) -> int:
        """The newest offset."""
        return self._writer.head

    @property
    def alive(self) -> bool:
        """Whether changes are being worked on at all."""
        return self._writer.alive

    @property
    def failing(self) -> bool:
        """Whether the last commit failed."""
        return self._writer.failing

    @property
    def failures(self) -> int:
        """How many commits have failed."""
        return self._writer.failures

    def try_out(self) -> None:
        """Write something, and see whether there is room for more than that.

        Raises:
            JournalUnavailable: it does not work, or soon will not.
        """
        self.make(Probe())
        require_room(self._path)

    def wait_beyond(self, offset: int, seconds: float, stop: threading.Event) -> bool:
        """Wait up to *seconds* for an event after *offset*, or for *stop* and `interrupt`."""
        with self._grown:
            return self._grown.wait_for(lambda: self.head > offset or stop.is_set(), seconds)

    def interrupt(self) -> None:
        """Make everybody in `wait_beyond` look at their stop event."""
        with self._grown:
            self._grown.notify_all()

    def close(self) -> None:
        """Make durable what was handed in, and close the files."""
        self._writer.close()
        self._readers.close()

    def _committed(self, done: Committed) -> None:
        if done.queued:
            self._listener(done.queued)
        with self._grown:
            self._grown.notify_all()


@contextmanager
def open_journal(path: Path, triggers: Iterable[Trigger], clock: Clock) -> Iterator[Journal]:
    """Open the journal at *path* for this process alone, and put right what a restart changed.

    Raises:
        JournalUnavailable: it cannot be opened, is in use, or is none of ours.
    """
    with locked(path):
        connection = connect(path)
        try:
            with journal_errors(path):
                _put_right(connection, tuple(triggers), clock.now())
            journal = Journal(path, connection, clock)
            try:
                yield journal
            finally:
                journal.close()
        finally:
            connection.close()


def _put_right(connection: sqlite3.Connection, triggers: tuple[Trigger, ...], now: float) -> None:
    """Adapt deliveries to the present time and triggers; writes only where there is a need."""
    longest = max((each.delivery.backoff.longest for each in triggers), default=0.0)
    # The wall clock may have been set back since these times were written.
    latest = "CASE attempts WHEN 0 THEN :now ELSE :now + :longest END"
    too_late = f"state < {DEAD} AND next_at > {latest}"
    times = {"now": now, "longest": longest}
    if connection.execute(f"SELECT 1 FROM deliveries WHERE {too_late} LIMIT 1", times).fetchone():  # noqa: S608
        # How much of its wait was left is not known any more; too early is better than too late.
        connection.execute(f"UPDATE deliveries SET next_at = :now WHERE {too_late}", times)  # noqa: S608
    sinks = {each.name: each.delivery.dead_letter for each in triggers}
    rows = connection.execute("SELECT DISTINCT trigger, state FROM deliveries").fetchall()
    for name, state in rows:
        if name not in sinks:
            logger.warning(
                "the journal holds deliveries for trigger %r, which is not configured; "
                "they wait until it is",
                name,
            )
        elif state == DEAD_LETTERING and sinks[name] is None:
            connection.execute(
                f"UPDATE deliveries SET state = {DEAD} "  # noqa: S608
                f"WHERE trigger = ? AND state = {DEAD_LETTERING}",
                (name,),
            )
