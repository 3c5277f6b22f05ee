import sqlite3
import threading

import pytest

from rookery.dedup.ledger import Standing
from rookery.dedup.sqlite import SqliteLedger
from rookery.errors import DedupInvalid, DedupUnavailable


@pytest.fixture
def open_(tmp_path):
    """Open ledgers on one file: open_(entries=...)."""
    opened = []

    def make(path=tmp_path / "dedup.db", *, entries=100):
        opened.append(SqliteLedger(path, ttl_seconds=60, entries=entries))
        return opened[-1]

    yield make
    for ledger in opened:
        ledger.close()


def test_makes_the_folders_of_its_file(open_, tmp_path):
    open_(tmp_path / "a" / "b" / "dedup.db")
    assert (tmp_path / "a" / "b" / "dedup.db").is_file()


def garbage(path):
    path.write_bytes(b"no database, but long enough to be looked at. " * 100)


def of_somebody_else(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE claims (something TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (garbage, "not a database"),
        (of_somebody_else, "something else"),
        (lambda path: path.mkdir(), "unable to open"),
        (lambda path: path.symlink_to("/dev/full"), "dedup.db"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_at_the_start(open_, tmp_path, spoil, says):
    path = tmp_path / "dedup.db"
    spoil(path)
    with pytest.raises(DedupInvalid, match=says) as raised:
        open_(path)
    assert str(path) in str(raised.value)


def test_a_folder_that_cannot_be_made_is_named(open_, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DedupInvalid, match="file"):
        open_(tmp_path / "file" / "dedup.db")


def test_a_journal_of_the_broker_is_not_taken_for_a_window(open_, tmp_path):
    from rookery.events.broker.database import connect

    connect(tmp_path / "broker.db").close()
    with pytest.raises(DedupInvalid, match="something else"):
        open_(tmp_path / "broker.db")


@pytest.mark.parametrize("attempt", range(10))
def test_many_may_open_a_new_file_at_once(open_, attempt, tmp_path):
    together = threading.Barrier(8)
    found = []

    def go():
        together.wait(30)
        found.append(open_(tmp_path / f"{attempt}.db").claim("k"))

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(each.name for each in found) == ["HELD"] * 7 + ["MINE"]


def test_the_oldest_result_goes_first(open_):
    ledger = open_(entries=3)
    for key in "abcd":
        ledger.settle(key, key.encode())
    assert [ledger.claim(key) for key in "abcd"] == [Standing.MINE, b"b", b"c", b"d"]


def test_the_file_does_not_grow_with_what_it_forgets(open_):
    ledger = open_(entries=10)

    def store(start):
        for number in range(start, start + 100):
            ledger.claim(str(number))
            ledger.settle(str(number), bytes(2000))
        return ledger._connection.execute("PRAGMA page_count").fetchone()[0]

    assert store(0) == store(100) == store(200)


def test_claims_of_the_dead_are_cleared_away(tmp_path):
    now = [1000.0]
    ledger = SqliteLedger(tmp_path / "dedup.db", ttl_seconds=60, entries=9, clock=lambda: now[0])
    ledger.claim("dead")
    now[0] += 120
    ledger.settle("other", b"")
    assert ledger._connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    ledger.close()


def test_a_full_disk_is_unavailable_and_forgets_nothing(open_):
    ledger = open_()
    ledger.settle("k", b"result")
    (pages,) = ledger._connection.execute("PRAGMA page_count").fetchone()
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DedupUnavailable, match="full"):
        ledger.settle("large", bytes(100_000))
    assert ledger.claim("k") == b"result"


def test_a_file_that_another_holds_is_unavailable(open_, tmp_path):
    ledger = open_()
    other = sqlite3.connect(tmp_path / "dedup.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ledger._connection.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(DedupUnavailable, match="locked"):
        ledger.claim("k")
    other.close()
    assert ledger.claim("k") is Standing.MINE


def test_a_file_that_is_damaged_at_work_is_unavailable(open_, tmp_path):
    ledger = open_()
    ledger.settle("k", bytes(50_000))
    ledger._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger._connection.execute("PRAGMA cache_size = 0")
    path = tmp_path / "dedup.db"
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(DedupUnavailable):
        ledger.claim("k")
