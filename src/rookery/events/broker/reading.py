"""What is asked of the journal: each query a function of a connection."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

from rookery.events.broker.database import DEAD
from rookery.events.broker.entry import COLUMNS, read
from rookery.events.result import DEADLETTER
from rookery.events.wire import CloudEvent

_ITEM: Final = "offset, attempts, next_at, code, reason, answer"
# A page of events that are larger would take memory that nobody has counted on.
_SMALL_BYTES: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class Item:
    """One delivery that has not succeeded yet.

    Attributes:
        attempts: failed ones in its present state.
        next_at: seconds since the epoch.
        code: what the subscriber answered last; 0 before the first answer.
        reason: the last failure, for people.
        answer: the beginning of what the subscriber said.
        event: what is to be delivered, where it has been read already; see `with_events`.
    """

    offset: int
    attempts: int
    next_at: float
    code: int = 0
    reason: str = ""
    answer: bytes = b""
    event: CloudEvent | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Which events a reader wants: None and "" want all."""

    type_prefix: str = ""
    source: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a page of events goes.

    Attributes:
        head: the newest offset to look at.
        events: how many at most.
        data_bytes: once their data is more than that, no more follow.
    """

    head: int
    events: int
    data_bytes: int


@dataclass(frozen=True, slots=True)
class Page:
    """Events in journal order; reading on continues after *last*."""

    events: tuple[tuple[int, CloudEvent], ...]
    last: int


def due(
    connection: sqlite3.Connection, trigger: str, state: int, now: float, limit: int
) -> list[Item]:
    """Return what may be delivered now, the longest due first."""
    rows = connection.execute(
        f"SELECT {_ITEM} FROM deliveries WHERE trigger = ? AND state = ? AND next_at <= ? "  # noqa: S608
        "ORDER BY next_at, offset LIMIT ?",
        (trigger, state, now, limit),
    )
    return [Item(*row) for row in rows.fetchall()]


def in_order(connection: sqlite3.Connection, trigger: str, state: int, limit: int) -> list[Item]:
    """Return what is to be delivered in journal order, due or not."""
    rows = connection.execute(
        # + keeps the planner off deliveries_due: the primary key is already in this order.
        f"SELECT {_ITEM} FROM deliveries WHERE trigger = ? AND +state = ? "  # noqa: S608
        "ORDER BY offset LIMIT ?",
        (trigger, state, limit),
    )
    return [Item(*row) for row in rows.fetchall()]


def next_due(connection: sqlite3.Connection, trigger: str, state: int, now: float) -> float | None:
    """Return when the first delivery after *now* becomes due, or None."""
    found: tuple[float | None] = connection.execute(
        "SELECT min(next_at) FROM deliveries WHERE trigger = ? AND state = ? AND next_at > ?",
        (trigger, state, now),
    ).fetchone()
    return found[0]


def with_events(connection: sqlite3.Connection, items: list[Item]) -> list[Item]:
    """Return *items* with their events; large ones without, to be read one by one."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM events "  # noqa: S608 - marks only
        f"WHERE offset IN ({','.join('?' * len(items))}) AND length(data) <= {_SMALL_BYTES}",
        [item.offset for item in items],
    )
    events = dict(map(read, rows.fetchall()))
    return [replace(item, event=events.get(item.offset)) for item in items]


def event_at(connection: sqlite3.Connection, offset: int) -> CloudEvent | None:
    """Return the event at *offset*, or None where there is none (any more)."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM events WHERE offset = ?",  # noqa: S608
        (offset,),
    ).fetchone()
    return None if row is None else read(row)[1]


def events_after(connection: sqlite3.Connection, after: int, query: Query, bounds: Bounds) -> Page:
    """Return the events after the offset *after* that *query* wants, in journal order."""
    found: list[tuple[int, CloudEvent]] = []
    size = 0
    with closing(
        connection.execute(
            f"SELECT {COLUMNS} FROM events WHERE offset > ? AND offset <= ? "  # noqa: S608
            "AND substr(type, 1, length(?)) = ? AND (? IS NULL OR source = ?) "
            "AND (? IS NULL OR subject = ?) ORDER BY offset LIMIT ?",
            (
                after, bounds.head, query.type_prefix, query.type_prefix, query.source,
                query.source, query.subject, query.subject, bounds.events,
            ),
        )
    ) as rows:  # fmt: skip
        for row in rows:
            found.append(read(row))
            size += len(found[-1][1].data)
            if size > bounds.data_bytes:
                return Page(tuple(found), found[-1][0])
    # A full page may have more behind it; a shorter one has seen everything up to the head.
    full = bool(found) and len(found) == bounds.events
    return Page(tuple(found), found[-1][0] if full else max(after, bounds.head))


def received_after(connection: sqlite3.Connection, since: float) -> int:
    """Return the newest offset received before *since* (seconds since the epoch)."""
    # Offsets grow with time, but the clock may have been set back between two runs of the
    # broker: the first event at or after that time decides.
    row = connection.execute(
        "SELECT min(offset) - 1 FROM events WHERE received >= ?", (since,)
    ).fetchone()
    if row[0] is None:
        return newest(connection)
    return int(row[0])


def newest(connection: sqlite3.Connection) -> int:
    """Return the newest offset ever used."""
    # AUTOINCREMENT's own memory: also right after the newest events were forgotten.
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0


def counts(connection: sqlite3.Connection) -> dict[tuple[str, int], int]:
    """Return how many deliveries there are, by trigger and state."""
    rows = connection.execute(
        "SELECT trigger, state, count(*) FROM deliveries GROUP BY trigger, state"
    )
    return {(trigger, state): count for trigger, state, count in rows.fetchall()}


def oldest_pending(connection: sqlite3.Connection) -> dict[str, float]:
    """Return when the oldest event that waits came in (seconds since the epoch), by trigger."""
    rows = connection.execute(
        "SELECT d.trigger, e.received FROM events e JOIN ("  # noqa: S608
        f"SELECT trigger, min(offset) AS offset FROM deliveries WHERE state < {DEAD} "
        "GROUP BY trigger) d USING (offset)"
    )
    return dict(rows.fetchall())


def forgettable(  # noqa: PLR0913
    connection: sqlite3.Connection,
    after: int,
    triggers: Sequence[str],
    *,
    before: float,
    letters_before: float,
    max_bytes: int,
    limit: int,
) -> list[int]:
    """Return up to *limit* offsets beyond *after* of events that may go, the oldest first.

    No delivery to any of *triggers* needs them. Those received *before* may go; when the file's
    used part is larger than *max_bytes*, all may.
    Dead-letter events that nobody has dealt with may only when received before *letters_before*.
    """
    (used,) = connection.execute(
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    rows = connection.execute(
        # By primary key: a scan of all deliveries for every page would take its time.
        "SELECT offset FROM events WHERE offset > ? "
        "AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.offset = events.offset "
        "AND deliveries.trigger IN (SELECT value FROM json_each(?))) "
        "AND (? OR received < ?) AND (type <> ? OR received < ? "
        "OR offset IN (SELECT offset FROM dropped)) ORDER BY offset LIMIT ?",
        (after, json.dumps(triggers), used > max_bytes, before, DEADLETTER, letters_before, limit),
    )
    return [offset for (offset,) in rows.fetchall()]
