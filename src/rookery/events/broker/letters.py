"""Dead letters in the journal, of both kinds, and what is asked about them.

A delivery that failed for good is a row of `deliveries`; its name is TRIGGER/OFFSET. An event of
type DEADLETTER, which a function or a source sent, is an event like others until somebody has
dealt with it, which is a row of `dropped`; its name is OFFSET.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from rookery.events.broker.database import DEAD
from rookery.events.broker.entry import COLUMNS, read
from rookery.events.result import DEADLETTER
from rookery.events.wire import CloudEvent

_EVENT: Final = ", ".join(f"e.{name.strip()}" for name in COLUMNS.split(","))
# Written out, as the index is: SQLite uses it for nothing else.
_IS_LETTER: Final = f"e.type = '{DEADLETTER}'"


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """What one dead letter is called; in the order of the journal.

    Attributes:
        trigger: whose delivery failed; "" for a dead-letter event.
    """

    offset: int
    trigger: str = ""

    def __str__(self) -> str:
        return f"{self.trigger}/{self.offset}" if self.trigger else str(self.offset)


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter.

    Attributes:
        code: the HTTP status of the last answer; 0 for a dead-letter event.
        reason: for people; "" for a dead-letter event, whose data says it.
        answer: the beginning of what the subscriber said.
        attempts: failed ones: at the subscriber, or where it had one at the dead letter sink; 0
            for a dead-letter event.
        received: when the event came, seconds since the epoch.
        died: when it was given up; for a dead-letter event, when that came.
        event: what was not delivered; or the dead-letter event.
    """

    name: Name
    code: int
    reason: str
    answer: bytes
    attempts: int
    received: float
    died: float
    event: CloudEvent


@dataclass(frozen=True, slots=True)
class LetterQuery:
    """Which dead letters a reader wants.

    Attributes:
        trigger: only those of this trigger; None wants all, dead-letter events too.
        since: only those that died at or after this time, seconds since the epoch.
    """

    trigger: str | None = None
    since: float = 0.0


def letters(
    connection: sqlite3.Connection, after: Name, query: LetterQuery, limit: int
) -> list[Letter]:
    """Return up to *limit* dead letters behind *after*, in the order of their names."""
    found = _failed(connection, after, query, limit)
    if query.trigger is None:
        found += _events(connection, after, query, limit)
    return sorted(found, key=lambda letter: letter.name)[:limit]


def letter_at(connection: sqlite3.Connection, name: Name) -> Letter | None:
    """Return the dead letter called *name*, or None where there is none (any more)."""
    before, query = Name(name.offset - 1, chr(0x10FFFF)), LetterQuery(name.trigger)
    found = _failed if name.trigger else _events
    return next((each for each in found(connection, before, query, 1) if each.name == name), None)


def dead_offsets(connection: sqlite3.Connection, trigger: str) -> list[int]:
    """Return the offsets of all dead letters of *trigger*."""
    rows = connection.execute(
        f"SELECT offset FROM deliveries WHERE trigger = ? AND state = {DEAD} ORDER BY offset",  # noqa: S608
        (trigger,),
    )
    return [offset for (offset,) in rows.fetchall()]


def died_before(connection: sqlite3.Connection, time: float, limit: int) -> list[Name]:
    """Return up to *limit* deliveries that were given up before *time*."""
    rows = connection.execute(
        f"SELECT offset, trigger FROM deliveries WHERE state = {DEAD} AND next_at < ? LIMIT ?",  # noqa: S608
        (time, limit),
    )
    return [Name(*row) for row in rows.fetchall()]


def _failed(
    connection: sqlite3.Connection, after: Name, query: LetterQuery, limit: int
) -> list[Letter]:
    rows = connection.execute(
        "SELECT d.trigger, d.code, d.reason, d.answer, d.attempts, e.received, d.next_at, "  # noqa: S608
        # The index of the dead: a scan of all deliveries for every page would take its time.
        f"{_EVENT} FROM deliveries d INDEXED BY deliveries_dead JOIN events e USING (offset) "
        f"WHERE d.state = {DEAD} AND (d.offset, d.trigger) > (?, ?) AND d.next_at >= ? "
        "AND (? IS NULL OR d.trigger = ?) ORDER BY d.offset, d.trigger LIMIT ?",
        (after.offset, after.trigger, query.since, query.trigger, query.trigger, limit),
    )
    found = []
    for trigger, code, reason, answer, attempts, received, died, *columns in rows.fetchall():
        offset, event = read(tuple(columns))
        name = Name(offset, trigger)
        found.append(Letter(name, code, reason, answer, attempts, received, died, event))
    return found


def _events(
    connection: sqlite3.Connection, after: Name, query: LetterQuery, limit: int
) -> list[Letter]:
    rows = connection.execute(
        f"SELECT e.received, {_EVENT} FROM events e WHERE {_IS_LETTER} "  # noqa: S608
        "AND e.offset NOT IN (SELECT offset FROM dropped) AND (e.offset, '') > (?, ?) "
        "AND e.received >= ? ORDER BY e.offset LIMIT ?",
        (after.offset, after.trigger, query.since, limit),
    )
    found = []
    for received, *columns in rows.fetchall():
        offset, event = read(tuple(columns))
        found.append(Letter(Name(offset), 0, "", b"", 0, received, received, event))
    return found
