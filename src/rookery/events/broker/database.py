"""The journal's file: its tables, its connections, its lock, and SQLite's errors as ours."""

import fcntl
import os
import queue
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rookery.errors import JournalUnavailable
from rookery.events.result import DEADLETTER

_VERSION: Final = 2
PENDING: Final = 0
DEAD_LETTERING: Final = 1
DEAD: Final = 2
_ROOM_BYTES: Final = 1024 * 1024
# Larger caches only make the process grow for longer: the kernel keeps the file in memory too.
_WRITER_KIBIBYTES: Final = 4096
_READER_KIBIBYTES: Final = 512

# Version 2 brought these; a journal of version 1 gets them when it is opened.
_LETTERS: Final = f"""
CREATE TABLE dropped (
    offset INTEGER PRIMARY KEY                -- of a dead-letter event that was dealt with
) STRICT;
CREATE INDEX events_deadletter ON events (offset) WHERE type = '{DEADLETTER}';
CREATE INDEX deliveries_dead ON deliveries (offset, trigger) WHERE state = {DEAD};
"""
_SCHEMA: Final = f"""
CREATE TABLE events (
    offset INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, so a reader can rely on it
    identity BLOB NOT NULL UNIQUE,            -- see entry.py
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT,
    attributes TEXT NOT NULL,                 -- JSON: every other context attribute
    data BLOB NOT NULL,
    received REAL NOT NULL                    -- seconds since the epoch
) STRICT;
CREATE TABLE deliveries (
    trigger TEXT NOT NULL,
    offset INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,         -- 0 pending, 1 on its way to the sink, 2 dead
    attempts INTEGER NOT NULL DEFAULT 0,      -- failed ones, in this state
    next_at REAL NOT NULL,                    -- seconds since the epoch
    code INTEGER NOT NULL DEFAULT 0,          -- what the subscriber answered last
    reason TEXT NOT NULL DEFAULT '',
    answer BLOB NOT NULL DEFAULT x'',
    PRIMARY KEY (trigger, offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (trigger, state, next_at);
CREATE TABLE probe (at REAL NOT NULL) STRICT;
{_LETTERS}
"""
_MIGRATIONS: Final = {0: _SCHEMA, 1: _LETTERS}


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Translate what SQLite raises about the journal at *path*.

    Raises:
        JournalUnavailable: in place of any sqlite3.Error.
    """
    try:
        yield
    except sqlite3.Error as exc:
        raise unavailable(path, exc) from exc


def unavailable(path: Path, exc: sqlite3.Error) -> JournalUnavailable:
    """Return what *exc* is to those who call the journal at *path*."""
    return JournalUnavailable(f"the journal {path} cannot be used: {exc}; {_advice(exc)}")


def _advice(exc: sqlite3.Error) -> str:
    name = getattr(exc, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return "free some disk space"
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return "move the file away, and start with an empty journal or a backup"
    return "check the disk and the file's permissions"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the journal at *path* for this process alone; `kill -9` sets it free too.

    Raises:
        JournalUnavailable: another broker holds it, or its folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise JournalUnavailable(
            f"the journal {path} cannot be opened: {exc.strerror}; check the folder's permissions"
        ) from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise JournalUnavailable(
                f"the journal {path} is in use by another broker; stop that one, "
                "or give this one its own --journal"
            ) from exc
        yield
    finally:
        os.close(descriptor)


def require_room(path: Path) -> None:
    """See whether a mebibyte more can be written beside the journal at *path*.

    Raises:
        JournalUnavailable: there is no room for it.
    """
    # A disk may be too full for an event and not for the few bytes of an attempt to write.
    file = Path(f"{path}.room")
    try:
        file.write_bytes(bytes(_ROOM_BYTES))
    except OSError as exc:
        raise JournalUnavailable(
            f"the journal {path} has hardly any room left: {exc.strerror}; free some disk space"
        ) from exc
    finally:
        file.unlink(missing_ok=True)


def connect(path: Path) -> sqlite3.Connection:
    """Open the journal for writing; create or check its tables.

    Raises:
        JournalUnavailable: it cannot be opened, or is none of ours.
    """
    with journal_errors(path):
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL makes every commit wait for the disk: a 202 survives a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute(f"PRAGMA cache_size = -{_WRITER_KIBIBYTES}")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version in _MIGRATIONS:
        connection.executescript(
            f"BEGIN IMMEDIATE; {_MIGRATIONS[version]} PRAGMA user_version = {_VERSION}; COMMIT;"
        )
    elif version != _VERSION:
        raise JournalUnavailable(
            f"the journal {path} has format {version}, this release reads {_VERSION}; "
            "use the release that wrote it, or another --journal"
        )


class Readers:
    """Read-only connections, lent to whichever thread asks; as many as are needed at once."""

    def __init__(self, path: Path) -> None:
        """Open none yet."""
        self._path = path
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; read each cursor to its end before giving it back.

        Raises:
            JournalUnavailable: the journal cannot be read.
        """
        with journal_errors(self._path):
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                connection = self._open()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.put(connection)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_READER_KIBIBYTES}")
        connection.execute("PRAGMA busy_timeout = 10000")
        return connection

    def close(self) -> None:
        """Close the connections that are not lent."""
        while not self._idle.empty():
            self._idle.get_nowait().close()
