"""A ledger in one SQLite file: for the processes of one machine, and for those that follow them."""

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rookery.dedup.ledger import LEASE_SECONDS, Standing
from rookery.errors import DedupInvalid, DedupUnavailable

# "rkd1" in the file's header: no other SQLite file, such as a broker's journal, is taken for ours.
_APPLICATION: Final = 0x726B6431
_BUSY_SECONDS: Final = 1.0
_OPENING_SECONDS: Final = 10.0
_OPENING_PAUSE: Final = 0.05

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until REAL NOT NULL                     -- seconds since the epoch
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order they came
    key TEXT NOT NULL UNIQUE,
    until REAL NOT NULL,
    result BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS results_until ON results (until);
PRAGMA application_id = {_APPLICATION};
COMMIT;
"""


class SqliteLedger:
    """A `Ledger` in a file on a local disk. `kill -9` at any point leaves it in order.

    Times are the wall clock's, because they must mean the same after a restart. A time further
    ahead than this ledger would write comes from a clock that has been set back since; it counts
    from now, so that nothing lasts longer than its time after such a step.
    """

    def __init__(
        self,
        path: Path,
        *,
        ttl_seconds: float,
        entries: int,
        lease_seconds: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or create the file at *path*.

        Args:
            path: on a local disk: network file systems do not lock as SQLite needs it.
            ttl_seconds: how long a result is remembered.
            entries: how many results the file holds, those of all scopes together; the oldest
                goes first.
            lease_seconds: how long a claim holds.
            clock: the wall clock.

        Raises:
            DedupInvalid: the file cannot be opened or written, or is none of ours.
        """
        self._path = path
        self._ttl_seconds = ttl_seconds
        self._entries = entries
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._owner = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._connection = _open(path)

    def claim(self, key: str) -> Standing | bytes:
        """Return the result for *key*, or claim it."""
        with self._asking():
            # Most questions change nothing: who waits asks often, and a repeat finds its result.
            standing = self._standing(key)
            return self._claim(key) if standing is None else standing

    def settle(self, key: str, result: bytes | None) -> None:
        """Remember *result*, or give up the claim."""
        with self._asking(), self._transaction():
            self._connection.execute(
                "DELETE FROM claims WHERE key = ? AND (owner = ? OR ?)",
                (key, self._owner, result is not None),
            )
            if result is not None:
                self._remember(key, result)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _standing(self, key: str) -> Standing | bytes | None:
        """Return what holds for *key*; None where it is ours to claim."""
        remembered: tuple[float, bytes] | None = self._connection.execute(
            "SELECT until, result FROM results WHERE key = ?", (key,)
        ).fetchone()
        if remembered and self._holds("results", key, remembered[0], self._ttl_seconds):
            return remembered[1]
        claimed: tuple[float, str] | None = self._connection.execute(
            "SELECT until, owner FROM claims WHERE key = ?", (key,)
        ).fetchone()
        if claimed is None or claimed[1] == self._owner:
            return None
        return (
            Standing.HELD if self._holds("claims", key, claimed[0], self._lease_seconds) else None
        )

    def _holds(self, table: str, key: str, until: float, longest: float) -> bool:
        """Whether *until* is to come; where it is too far ahead, it is brought nearer."""
        now = self._clock()
        if until > now + longest:
            self._connection.execute(
                f"UPDATE {table} SET until = ? WHERE key = ? AND until = ?",  # noqa: S608
                (now + longest, key, until),
            )
        return until > now

    def _claim(self, key: str) -> Standing | bytes:
        with self._transaction():
            # Somebody may have come in between.
            standing = self._standing(key)
            if standing is not None:
                return standing
            self._connection.execute(
                "INSERT INTO claims VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET owner = excluded.owner, until = excluded.until",
                (key, self._owner, self._clock() + self._lease_seconds),
            )
            return Standing.MINE

    def _remember(self, key: str, result: bytes) -> None:
        now = self._clock()
        execute = self._connection.execute
        execute("DELETE FROM results WHERE key = ? OR until <= ?", (key, now))
        execute("DELETE FROM claims WHERE until <= ?", (now - self._ttl_seconds,))
        execute(
            "INSERT INTO results (key, until, result) VALUES (?, ?, ?)",
            (key, now + self._ttl_seconds, result),
        )
        execute(
            "DELETE FROM results WHERE number <= (SELECT max(number) FROM results) - ?",
            (self._entries,),
        )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as exc:
            raise DedupUnavailable(f"{self._path} cannot be used: {exc}") from exc

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite has already rolled back by itself after some errors, such as a full disk.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as exc:
        raise _invalid(path, exc) from exc
    try:
        _prepare(connection, path)
    except sqlite3.Error as exc:
        connection.close()
        raise _invalid(path, exc) from exc
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    # One transaction: another process may be making the tables between the two questions.
    connection.execute("BEGIN")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    connection.execute("COMMIT")
    if tables and application != _APPLICATION:
        raise DedupInvalid(
            f"{path} is an SQLite file of something else; name another in ROOKERY_DEDUP"
        )
    _use_wal(connection)
    # What a power cut takes is computed again; a killed process loses nothing.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, which SQLite refuses at once while another process does it."""
    deadline = time.monotonic() + _OPENING_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_OPENING_PAUSE)
        else:
            return


def _invalid(path: Path, exc: OSError | sqlite3.Error) -> DedupInvalid:
    return DedupInvalid(
        f"the dedup window {path} cannot be used: {exc}; check its folder and permissions, remove "
        "a damaged file (it only saves work), or name another in ROOKERY_DEDUP"
    )
