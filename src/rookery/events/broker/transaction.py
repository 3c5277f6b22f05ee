"""One transaction that makes many changes, all or none."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, TypeVar, assert_never

from rookery.events.broker.changes import (
    Append,
    Change,
    Dismiss,
    Drop,
    Forget,
    Postpone,
    Probe,
    Requeue,
    Retry,
    Settle,
)
from rookery.events.broker.database import DEAD, DEAD_LETTERING, PENDING
from rookery.events.broker.entry import Entry
from rookery.events.result import DEADLETTER

# Rows in one statement. Each step of a statement lets go of the interpreter lock and has to queue
# for it behind every request thread, so one statement of many rows beats many of one row. Each
# number of rows is a statement of its own in SQLite's cache.
_CHUNK: Final = 64

R = TypeVar("R", bound="tuple[object, ...] | bytes")


@dataclass(slots=True)
class Committed:
    """What a transaction did.

    Attributes:
        head: the newest offset.
        counts: one per change: events newly taken in, or rows changed.
        queued: how many deliveries became due, by trigger and state.
    """

    head: int
    counts: list[int] = field(default_factory=list)
    queued: dict[tuple[str, int], int] = field(default_factory=dict)


def commit(
    connection: sqlite3.Connection,
    changes: Sequence[Change],
    *,
    head: int,
    now: float,
    received: float,
) -> Committed:
    """Make all *changes* in one transaction; on an error none of them.

    New events get the offsets after *head* and the time *received*; deliveries become due *now*.
    Both are seconds since the epoch.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        transaction = _Transaction(connection, changes, head, now, received)
        for change in changes:
            transaction.done.counts.append(transaction.make(change))
        transaction.write()
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back by itself after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return transaction.done


class _Transaction:
    """Collects the rows of the frequent changes, so that each table is written at once."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        changes: Sequence[Change],
        head: int,
        now: float,
        received: float,
    ) -> None:
        self.done = Committed(head)
        self._connection = connection
        self._now = now
        self._received = received
        self._known = _known(connection, changes)
        self._events: list[tuple[object, ...]] = []
        self._deliveries: list[tuple[str, int, float]] = []
        self._settled: list[tuple[str, int]] = []

    def make(self, change: Change) -> int:  # noqa: PLR0911 - one for each kind
        """Make or collect *change*; return its count."""
        match change:
            case Append():
                return self._take_in(change.entries)
            case Settle():
                self._settled.append((change.trigger, change.offset))
                return self._take_in(change.replies)
            case Postpone():
                return self._postpone(change)
            case Requeue():
                return self._requeue(change)
            case Drop():
                return self._drop(change)
            case Dismiss():
                return self._dismiss(change.offsets)
            case Retry():
                return self._retry(change)
            case Forget():
                return self._forget(change)
            case Probe():
                self._connection.execute("DELETE FROM probe")
                return self._connection.execute(
                    "INSERT INTO probe VALUES (?)", (self._now,)
                ).rowcount
            case _:
                assert_never(change)

    def write(self) -> None:
        """Write what was collected."""
        for rows in _chunks(self._events):
            self._connection.execute(
                f"INSERT INTO events VALUES {_marks(rows)}",  # noqa: S608 - marks only
                tuple(chain.from_iterable(rows)),
            )
        for due in _chunks(self._deliveries):
            self._connection.execute(
                f"INSERT INTO deliveries (trigger, offset, next_at) VALUES {_marks(due)}",  # noqa: S608
                tuple(chain.from_iterable(due)),
            )
        self._write_settled()

    def _write_settled(self) -> None:
        for done in _chunks(self._settled):
            self._connection.execute(
                f"DELETE FROM deliveries WHERE (trigger, offset) IN (VALUES {_marks(done)})",  # noqa: S608
                tuple(chain.from_iterable(done)),
            )
        self._settled.clear()

    def _take_in(self, entries: Iterable[Entry]) -> int:
        before = self.done.head
        for entry in entries:
            if entry.identity in self._known:
                if entry.event.type == DEADLETTER:
                    self._relist(entry)
                continue
            self._known.add(entry.identity)
            self.done.head += 1
            offset, event = self.done.head, entry.event
            self._events.append(
                (
                    offset, entry.identity, event.id, event.source, event.type, event.subject,
                    entry.attributes, event.data, self._received,
                )
            )  # fmt: skip
            for trigger in entry.triggers:
                self._deliveries.append((trigger, offset, self._now))
                self._queue(trigger, PENDING, 1)
        return self.done.head - before

    def _postpone(self, change: Postpone) -> int:
        if change.state == DEAD_LETTERING:
            self._queue(change.trigger, DEAD_LETTERING, 1)
        return self._connection.execute(
            "UPDATE deliveries SET state = ?, attempts = ?, next_at = ?, code = ?, reason = ?, "
            "answer = ? WHERE trigger = ? AND offset = ?",
            (
                change.state, change.attempts, change.next_at, change.code, change.reason,
                change.answer, change.trigger, change.offset,
            ),
        ).rowcount  # fmt: skip

    def _requeue(self, change: Requeue) -> int:
        self._write_settled()  # what is settled is not pending any more
        count = self._connection.execute(
            "INSERT INTO deliveries (trigger, offset, next_at) SELECT ?, offset, ? FROM events "
            # Only what the journal still holds.
            "WHERE offset IN (SELECT value FROM json_each(?)) "
            "ON CONFLICT DO UPDATE SET state = ?, attempts = 0, next_at = excluded.next_at "
            "WHERE state = ?",
            (change.trigger, self._now, json.dumps(change.offsets), PENDING, DEAD),
        ).rowcount
        self._queue(change.trigger, PENDING, count)
        return count

    def _drop(self, change: Drop) -> int:
        return self._connection.execute(
            "DELETE FROM deliveries WHERE trigger = ? AND state = ? "
            "AND offset IN (SELECT value FROM json_each(?))",
            (change.trigger, DEAD, json.dumps(change.offsets)),
        ).rowcount

    def _dismiss(self, offsets: Sequence[int]) -> int:
        return self._connection.execute(
            "INSERT OR IGNORE INTO dropped SELECT offset FROM events "
            "WHERE offset IN (SELECT value FROM json_each(?)) AND type = ?",
            (json.dumps(offsets), DEADLETTER),
        ).rowcount

    def _relist(self, entry: Entry) -> None:
        # It was dealt with, and has come again: it failed again, which must not be lost.
        self._connection.execute(
            "DELETE FROM dropped WHERE offset = (SELECT offset FROM events WHERE identity = ?)",
            (entry.identity,),
        )

    def _retry(self, change: Retry) -> int:
        # In one transaction: otherwise the letter could come again before it is dismissed.
        self._dismiss((change.letter,))
        original = change.original
        if original.identity not in self._known:
            self._take_in((original,))
            return len(original.triggers)
        row = self._connection.execute(
            "SELECT offset FROM events WHERE identity = ?", (original.identity,)
        ).fetchone()
        if row is None:  # taken in by another change of this transaction
            return len(original.triggers)
        return sum(self._requeue(Requeue(trigger, row)) for trigger in original.triggers)

    def _forget(self, change: Forget) -> int:
        offsets = json.dumps(change.offsets)
        # By primary key: a scan of all deliveries here would hold up every other change.
        gone = self._connection.execute(
            "DELETE FROM events WHERE offset IN (SELECT value FROM json_each(?)) "
            "AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.offset = events.offset "
            "AND deliveries.trigger IN (SELECT value FROM json_each(?))) RETURNING identity",
            (offsets, json.dumps(change.triggers)),
        ).fetchall()
        self._known.difference_update(identity for (identity,) in gone)
        self._connection.execute(
            "DELETE FROM dropped WHERE offset IN (SELECT value FROM json_each(?)) "
            "AND offset NOT IN (SELECT offset FROM events)",
            (offsets,),
        )
        return len(gone)

    def _queue(self, trigger: str, state: int, count: int) -> None:
        key = (trigger, state)
        self.done.queued[key] = self.done.queued.get(key, 0) + count


def _known(connection: sqlite3.Connection, changes: Iterable[Change]) -> set[bytes]:
    """Which identities of *changes* the journal already has."""
    wanted: list[bytes] = []
    for change in changes:
        if isinstance(change, Append):
            wanted.extend(entry.identity for entry in change.entries)
        elif isinstance(change, Settle):
            wanted.extend(entry.identity for entry in change.replies)
        elif isinstance(change, Retry):
            wanted.append(change.original.identity)
    found: set[bytes] = set()
    for chunk in _chunks(wanted):
        marks = ",".join("?" * len(chunk))
        found.update(
            identity
            for (identity,) in connection.execute(
                f"SELECT identity FROM events WHERE identity IN ({marks})",  # noqa: S608 - marks
                chunk,
            )
        )
    return found


def _chunks(rows: Sequence[R]) -> Iterator[Sequence[R]]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


def _marks(rows: Sequence[tuple[object, ...]]) -> str:
    row = f"({','.join('?' * len(rows[0]))})"
    return ",".join([row] * len(rows))
