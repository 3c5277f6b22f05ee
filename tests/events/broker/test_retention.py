import threading
import time
from contextlib import contextmanager

import pytest

from rookery.errors import JournalUnavailable
from rookery.events.broker import reading
from rookery.events.broker.changes import Append, Dismiss, Drop, Forget, Postpone, Probe, Settle
from rookery.events.broker.clock import Clock
from rookery.events.broker.database import DEAD
from rookery.events.broker.entry import entry
from rookery.events.broker.journal import open_journal
from rookery.events.broker.retention import Retention, keep_pruning, prune
from rookery.events.broker.trigger import Trigger
from rookery.events.result import DEADLETTER

T = Trigger("t", "http://x/")
GO_ON = threading.Event()  # never set


@pytest.fixture
def journal(tmp_path):
    with open_journal(tmp_path / "journal.db", [T], Clock()) as opened:
        yield opened


@pytest.fixture
def fill(journal, made):
    """Add events that are settled, and one that is pending."""

    def do(count, **fields):
        journal.make(Append(tuple(entry(made(str(n), **fields), [T]) for n in range(count))))
        for offset in range(2, count + 1):
            journal.submit(Settle("t", offset))
        journal.make(Probe())  # and so is everything before it

    return do


def left(journal):
    page = journal.ask(
        reading.events_after, 0, reading.Query(), reading.Bounds(journal.head, 9999, 10**9)
    )
    return [event.id for _, event in page.events]


def test_young_events_stay(journal, fill):
    fill(5)
    assert prune(journal, Retention(), ["t"], GO_ON) == 0


def test_old_events_go_and_pending_ones_stay(journal, fill):
    fill(700)
    assert prune(journal, Retention(seconds=-1), ["t"], GO_ON) == 699
    assert left(journal) == ["0"]


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_is_set_makes_nothing_old(tmp_path, made, step):
    wall = [1_000_000.0]
    clock = Clock(wall=lambda: wall[0], monotonic=lambda: 0.0)
    with open_journal(tmp_path / "journal.db", [], clock) as journal:
        journal.make(Append((entry(made("before"), []),)))
        wall[0] += step
        journal.make(Append((entry(made("after"), []),)))
        assert prune(journal, Retention(seconds=1800), [], GO_ON) == 0
        assert left(journal) == ["before", "after"]


def test_events_of_a_trigger_that_is_not_configured_stay(journal, fill):
    fill(5)
    assert prune(journal, Retention(seconds=-1), [], GO_ON) == 4
    assert left(journal) == ["0"]


def test_the_oldest_go_when_the_journal_is_too_large(journal, fill):
    fill(1500, data=b"x" * 1000)
    gone = prune(journal, Retention(max_bytes=1_000_000), ["t"], GO_ON)
    assert 500 <= gone < 1499
    assert left(journal)[:2] == ["0", str(gone + 1)]


def stop_after_first(journal, kind, monkeypatch):
    """Return an event that is set once the first change of that *kind* is made."""
    stopping, make = threading.Event(), journal.make

    def made(*changes):
        if isinstance(changes[0], kind):
            stopping.set()
        return make(*changes)

    monkeypatch.setattr(journal, "make", made)
    return stopping


def test_a_broker_that_stops_leaves_the_rest_for_another_time(journal, fill, monkeypatch):
    fill(1600)
    stopping = stop_after_first(journal, Forget, monkeypatch)
    assert prune(journal, Retention(seconds=-1), ["t"], stopping) == 500
    assert prune(journal, Retention(seconds=-1), ["t"], GO_ON) == 1099


def test_a_bug_does_not_end_the_pruning(journal, monkeypatch, caplog):
    stopping, failures = threading.Event(), iter([KeyError("a bug"), MemoryError("none left")])

    def ask(*_):
        if (failure := next(failures, None)) is None:
            stopping.set()
            raise JournalUnavailable("no")
        raise failure

    monkeypatch.setattr(journal, "ask", ask)
    keep_pruning(journal, Retention(interval=0), ["t"], stopping)
    assert caplog.text.count("Traceback") == 2


# --- dead letters


DAY = 86_400


@pytest.fixture
def later(tmp_path):
    """Open the same journal again, some days later: later(days)."""

    @contextmanager
    def open_(days):
        clock = Clock(wall=lambda: time.time() + days * DAY)
        with open_journal(tmp_path / "journal.db", [T], clock) as opened:
            yield opened

    return open_


@pytest.fixture
def letters(later, made):
    """A journal with a failed delivery, a dead-letter event, and one that was dealt with."""
    with later(0) as journal:
        events = (made("1"), made("2", type=DEADLETTER), made("3", type=DEADLETTER))
        journal.make(Append(tuple(entry(event, [T]) for event in events)))
        journal.make(Postpone("t", 1, DEAD, 1, journal.clock.now(), 422, "no", b""))
        for offset in (2, 3):
            journal.make(Settle("t", offset))
        journal.make(Dismiss((3,)))


def after(later, days, **kept):
    with later(days) as journal:
        prune(journal, Retention(**kept), ["t"], GO_ON)
        return left(journal)


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(
    ("days", "kept", "ids"),
    [
        (6, {}, ["1", "2", "3"]),
        (8, {}, ["1", "2"]),
        (29, {}, ["1", "2"]),
        (31, {}, []),
        (31, {"dead_seconds": 40 * DAY}, ["1", "2"]),
        (4000, {"dead_seconds": 0}, ["1", "2"]),
        (6, {"dead_seconds": 5 * DAY}, ["1", "2", "3"]),
        (6, {"max_bytes": 1}, ["1", "2"]),
    ],
)
def test_dead_letters_stay_for_a_time_of_their_own(later, days, kept, ids):
    assert after(later, days, **kept) == ids


@pytest.mark.usefixtures("letters")
def test_what_was_dealt_with_leaves_nothing_behind(later):
    with later(31) as journal:
        prune(journal, Retention(), ["t"], GO_ON)
        for table in ("events", "deliveries", "dropped"):
            count = journal.ask(lambda db, name: db.execute(f"SELECT count(*) FROM {name}"), table)
            assert count.fetchone() == (0,)


@pytest.fixture
def many_letters(later, made):
    with later(0) as journal:
        events = [made(str(number)) for number in range(1200)]
        journal.make(Append(tuple(entry(event, [T]) for event in events)))
        for offset in range(1, 1201):
            journal.submit(Postpone("t", offset, DEAD, 1, journal.clock.now(), 422, "no", b""))
        journal.make(Probe())


@pytest.mark.usefixtures("many_letters")
def test_more_old_dead_letters_than_a_page_go(later):
    assert after(later, 31) == []


@pytest.mark.usefixtures("many_letters")
def test_a_broker_that_stops_leaves_old_dead_letters_for_another_time(later, monkeypatch):
    with later(31) as journal:
        stopping = stop_after_first(journal, Drop, monkeypatch)
        assert prune(journal, Retention(), ["t"], stopping) == 0
        assert journal.ask(reading.counts) == {("t", DEAD): 700}
