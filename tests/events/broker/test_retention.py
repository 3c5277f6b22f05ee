import pytest

from rookery.events.broker import reading
from rookery.events.broker.changes import Append, Probe, Settle
from rookery.events.broker.clock import Clock
from rookery.events.broker.entry import entry
from rookery.events.broker.journal import open_journal
from rookery.events.broker.retention import Retention, prune
from rookery.events.broker.trigger import Trigger

T = Trigger("t", "http://x/")


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
    assert prune(journal, Retention(), ["t"]) == 0


def test_old_events_go_and_pending_ones_stay(journal, fill):
    fill(700)
    assert prune(journal, Retention(seconds=-1), ["t"]) == 699
    assert left(journal) == ["0"]


def test_events_of_a_trigger_that_is_not_configured_stay(journal, fill):
    fill(5)
    assert prune(journal, Retention(seconds=-1), []) == 4
    assert left(journal) == ["0"]


def test_the_oldest_go_when_the_journal_is_too_large(journal, fill):
    fill(1500, data=b"x" * 1000)
    gone = prune(journal, Retention(max_bytes=1_000_000), ["t"])
    assert 500 <= gone < 1499
    assert left(journal)[:2] == ["0", str(gone + 1)]
