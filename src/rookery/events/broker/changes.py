"""The changes a journal takes, each a value, and one transaction that makes many of them."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from rookery.events.broker.database import DEAD, DEAD_LETTERING, PENDING
from rookery.events.broker.entry import Entry

# Well below SQLite's limit of variables in one statement.
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Append:
    """Take *entries* in; those already journalled are absorbed."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """A delivery is done, and brought *replies*: both or neither become durable."""

    trigger: str
    offset: int
    replies: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Postpone:
    """An attempt failed; the delivery goes on in *state*, not before *next_at*.

    Attributes:
        attempts: failed ones in that state.
        code: what the subscriber answered; *reason* for people, *answer* for the dead letter.
    """

    trigger: str
    offset: int
    state: int
    attempts: int
    next_at: float
    code: int
    reason: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class Requeue:
    """Deliver the events at *offsets* to *trigger* again; those still pending stay as they are."""

    trigger: str
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Revive:
    """Deliver the dead letters of *trigger* among *offsets* again."""

    trigger: str
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete the events at *offsets* that no delivery to any of *triggers* needs."""

    offsets: tuple[int, ...]
    triggers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """Write something, to learn whether writing works."""


Change = Append | Settle | Postpone | Requeue | Revive | Forget | Probe


@dataclass(slots=True)
class Committed:
    """What one transaction did.

    Attributes:
        counts: one per change: events newly taken in, or rows changed.
        queued: how many deliveries became due, by trigger and state.
        head: the newest offset.
    """

    counts: list[int]
    head: int
    queued: dict[tuple[str, int], int] = field(default_factory=dict)

    def queue(self, trigger: str, state: int, count: int = 1) -> None:
        """Note that *trigger* has *count* more deliveries to make."""
        key = (trigger, state)
        self.queued[key] = self.queued.get(key, 0) + count


def commit(
    connection: sqlite3.Connection, changes: Sequence[Change], *, head: int, now: float
) -> Committed:
    """Make all *changes* in one transaction; on an error none of them.

    Args:
        head: the newest offset so far; new events get the ones after it.
        now: seconds since the epoch.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = _make(connection, changes, Committed([], head), now)
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back by itself after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return done


def _make(
    connection: sqlite3.Connection, changes: Sequence[Change], done: Committed, now: float
) -> Committed:
    known = _known(connection, changes)
    events: list[tuple[object, ...]] = []
    deliveries: list[tuple[object, ...]] = []
    settled: list[tuple[str, int]] = []
    for change in changes:
        match change:
            case Append(entries=entries) | Settle(replies=entries):
                before = done.head
                for entry in entries:
                    if entry.identity in known:
                        continue
                    known.add(entry.identity)
                    done.head += 1
                    events.append(_event_row(done.head, entry, now))
                    for trigger in entry.triggers:
                        deliveries.append((trigger, done.head, now))
                        done.queue(trigger, PENDING)
                done.counts.append(done.head - before)
                if isinstance(change, Settle):
                    settled.append((change.trigger, change.offset))
            case Postpone():
                done.counts.append(_postpone(connection, change))
                if change.state == DEAD_LETTERING:
                    done.queue(change.trigger, DEAD_LETTERING)
            case Requeue():
                done.counts.append(_requeue(connection, change, now))
                done.queue(change.trigger, PENDING, done.counts[-1])
            case Revive():
                done.counts.append(_revive(connection, change, now))
                done.queue(change.trigger, PENDING, done.counts[-1])
            case Forget():
                done.counts.append(_forget(connection, change))
            case Probe():
                connection.execute("DELETE FROM probe")
                connection.execute("INSERT INTO probe VALUES (?)", (now,))
                done.counts.append(1)
    if events:
        connection.executemany("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?)", events)
    if deliveries:
        connection.executemany(
            "INSERT INTO deliveries (trigger, offset, next_at) VALUES (?,?,?)", deliveries
        )
    if settled:
        connection.executemany("DELETE FROM deliveries WHERE trigger = ? AND offset = ?", settled)
    return done


def _known(connection: sqlite3.Connection, changes: Iterable[Change]) -> set[bytes]:
    """Which identities of *changes* the journal already has."""
    wanted = [
        entry.identity
        for change in changes
        if isinstance(change, Append | Settle)
        for entry in (change.entries if isinstance(change, Append) else change.replies)
    ]
    return set(
        chain.from_iterable(
            chain.from_iterable(
                connection.execute(
                    f"SELECT identity FROM events WHERE identity IN ({_marks(chunk)})",  # noqa: S608
                    chunk,
                )
                for chunk in _chunks(wanted)
            )
        )
    )


def _event_row(offset: int, entry: Entry, now: float) -> tuple[object, ...]:
    event = entry.event
    return (
        offset, entry.identity, event.id, event.source, event.type, event.subject,
        entry.attributes, event.data, now,
    )  # fmt: skip


def _postpone(connection: sqlite3.Connection, change: Postpone) -> int:
    return connection.execute(
        "UPDATE deliveries SET state = ?, attempts = ?, next_at = ?, code = ?, reason = ?, "
        "answer = ? WHERE trigger = ? AND offset = ?",
        (
            change.state, change.attempts, change.next_at, change.code, change.reason,
            change.answer, change.trigger, change.offset,
        ),
    ).rowcount  # fmt: skip


def _requeue(connection: sqlite3.Connection, change: Requeue, now: float) -> int:
    # Only what the journal still holds; WHERE TRUE keeps SQLite's parser from reading ON as a join.
    return sum(
        connection.execute(
            "INSERT INTO deliveries (trigger, offset, next_at) "
            f"SELECT ?, offset, ? FROM events WHERE offset IN ({_marks(chunk)}) AND TRUE "  # noqa: S608
            "ON CONFLICT DO UPDATE SET state = 0, attempts = 0, next_at = excluded.next_at "
            f"WHERE state = {DEAD}",
            (change.trigger, now, *chunk),
        ).rowcount
        for chunk in _chunks(change.offsets)
    )


def _revive(connection: sqlite3.Connection, change: Revive, now: float) -> int:
    return sum(
        connection.execute(
            "UPDATE deliveries SET state = 0, attempts = 0, next_at = ? "
            f"WHERE trigger = ? AND state = {DEAD} AND offset IN ({_marks(chunk)})",  # noqa: S608
            (now, change.trigger, *chunk),
        ).rowcount
        for chunk in _chunks(change.offsets)
    )


def _forget(connection: sqlite3.Connection, change: Forget) -> int:
    # By primary key: a scan of all deliveries here would hold up every other change.
    return sum(
        connection.execute(
            f"DELETE FROM events WHERE offset IN ({_marks(chunk)}) AND NOT EXISTS "  # noqa: S608
            "(SELECT 1 FROM deliveries WHERE deliveries.offset = events.offset "
            f"AND deliveries.trigger IN ({_marks(change.triggers)}))",
            (*chunk, *change.triggers),
        ).rowcount
        for chunk in _chunks(change.offsets)
    )


def _chunks(values: Sequence[int] | Sequence[bytes]) -> Iterable[Sequence[int] | Sequence[bytes]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
