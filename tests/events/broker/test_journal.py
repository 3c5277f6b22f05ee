import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from rookery.errors import JournalUnavailable
from rookery.events.broker import letters, reading, writer
from rookery.events.broker.backoff import Backoff
from rookery.events.broker.changes import Append, Forget, Postpone, Probe, Requeue, Retry, Settle
from rookery.events.broker.clock import Clock
from rookery.events.broker.database import DEAD, DEAD_LETTERING, PENDING
from rookery.events.broker.entry import entry
from rookery.events.broker.journal import open_journal
from rookery.events.broker.trigger import Delivery, Trigger

T = Trigger("t", "http://x/", delivery=Delivery(backoff=Backoff(maximum=60)))
FAR = 1e12


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path):
    with open_journal(path, [T], Clock()) as opened:
        yield opened


@pytest.fixture
def append(made):
    def do(journal, *ids, triggers=(T,), **fields):
        return journal.make(Append(tuple(entry(made(id_, **fields), triggers) for id_ in ids)))

    return do


def offsets(journal, state=PENDING, trigger="t"):
    return [item.offset for item in journal.ask(reading.due, trigger, state, FAR, 1000)]


def ids(journal):
    page = journal.ask(
        reading.events_after, 0, reading.Query(), reading.Bounds(journal.head, 1000, 10**9)
    )
    return [event.id for _, event in page.events]


def raising(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail


def failed(offset, state=PENDING, next_at=0.0):
    return Postpone("t", offset, state, 1, next_at, 503, "answered 503", b"why")


def test_numbers_events_in_the_order_they_came(journal, append):
    assert [append(journal, each) for each in "abc"] == [1, 1, 1]
    assert (ids(journal), journal.head) == (["a", "b", "c"], 3)


def test_makes_a_delivery_for_every_trigger_that_matches(journal, append):
    append(journal, "a", triggers=(T, replace(T, name="u")))
    assert (offsets(journal), offsets(journal, trigger="u")) == ([1], [1])


def test_takes_no_event_twice(journal, append):
    assert [append(journal, *each) for each in ("a", "ab", "aa")] == [1, 1, 0]
    assert offsets(journal) == [1, 2]


def test_a_settled_delivery_is_gone_and_its_replies_are_there(journal, append, made):
    append(journal, "a")
    assert journal.make(Settle("t", 1, (entry(made("r"), [T]),))) == 1
    assert (offsets(journal), ids(journal)) == ([2], ["a", "r"])


def test_settling_twice_brings_the_reply_once(journal, append, made):
    append(journal, "a")
    replies = (entry(made("r"), [T]),)
    assert [journal.make(Settle("t", 1, replies)) for _ in range(2)] == [1, 0]


def test_a_postponed_delivery_keeps_what_went_wrong(journal, append):
    append(journal, "a")
    journal.make(failed(1, next_at=5.0))
    (item,) = journal.ask(reading.due, "t", PENDING, FAR, 10)
    assert item == reading.Item(1, 1, 5.0, 503, "answered 503", b"why")


def test_the_longest_due_comes_first_and_what_is_not_due_not_at_all(journal, append):
    append(journal, *"abc")
    journal.make(failed(1, next_at=FAR + 1))
    journal.make(failed(2, next_at=1e11))
    assert offsets(journal) == [3, 2]
    assert journal.ask(reading.next_due, "t", PENDING, FAR) == FAR + 1


def test_in_order_is_journal_order_due_or_not(journal, append):
    append(journal, *"abc")
    journal.make(failed(1, next_at=FAR + 1))
    assert [item.offset for item in journal.ask(reading.in_order, "t", PENDING, 2)] == [1, 2]


def test_requeues_what_is_dead_or_delivered_but_not_what_is_pending(journal, append):
    append(journal, *"abc")
    journal.make(Settle("t", 1))
    journal.make(failed(2, DEAD))
    assert journal.make(Requeue("t", (1, 2, 3, 99))) == 2
    assert sorted(offsets(journal)) == [1, 2, 3]


def test_forgets_only_what_no_delivery_needs(journal, append):
    append(journal, *"abcd")
    journal.make(Settle("t", 1))
    journal.make(failed(2, DEAD))
    journal.make(failed(3, DEAD_LETTERING))
    assert journal.make(Forget((1, 2, 3, 4), ("t",))) == 1
    assert ids(journal) == ["b", "c", "d"]


def test_an_offset_is_never_used_twice(path, journal, append):
    append(journal, "a", triggers=())
    journal.make(Forget((1,), ()))
    journal.close()
    with sqlite3.connect(path) as connection:
        assert reading.newest(connection) == 1
    connection.close()


def test_offsets_go_on_after_a_restart(path, append):
    for id_ in "ab":
        with open_journal(path, [T], Clock()) as journal:
            append(journal, id_)
            journal.make(Settle("t", journal.head))
            journal.make(Forget((journal.head,), ("t",)))
    with open_journal(path, [T], Clock()) as journal:
        assert journal.head == 2


def test_everything_handed_in_is_durable_after_closing(path, made):
    with open_journal(path, [T], Clock()) as journal:
        tickets = [journal.submit(Append((entry(made(str(n)), [T]),))) for n in range(300)]
    assert sum(ticket.result() for ticket in tickets) == 300
    with open_journal(path, [T], Clock()) as journal:
        assert len(ids(journal)) == 300


def test_many_threads_write_at_once(journal, append):
    def write(thread):
        for number in range(20):
            append(journal, f"{thread}-{number}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids(journal))) == 160


def test_says_which_deliveries_became_due(journal, append):
    heard = []
    journal.listen(heard.append)
    append(journal, "a", "b")
    journal.make(failed(1, DEAD_LETTERING))
    journal.make(Requeue("t", (1, 2)))
    assert heard == [{("t", PENDING): 2}, {("t", DEAD_LETTERING): 1}, {("t", PENDING): 0}]


def test_refuses_changes_after_closing(path):
    with open_journal(path, [T], Clock()) as journal:
        pass
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.make(Probe())


def test_one_journal_belongs_to_one_broker(path, journal):
    assert journal.alive
    with (
        pytest.raises(JournalUnavailable, match="in use by another broker"),
        open_journal(path, [T], Clock()),
    ):
        pass


def test_refuses_a_file_that_is_no_journal(path):
    path.write_bytes(b"this is no database" * 100)
    with (
        pytest.raises(JournalUnavailable, match="move the file away"),
        open_journal(path, [T], Clock()),
    ):
        pass


def test_refuses_a_journal_of_another_format(path):
    with open_journal(path, [T], Clock()):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalUnavailable, match="format 99"), open_journal(path, [T], Clock()):
        pass


def test_refuses_a_folder_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(JournalUnavailable, match="check the folder"),
        open_journal(tmp_path / "file" / "journal.db", [T], Clock()),
    ):
        pass


def test_a_clock_that_was_set_back_over_a_restart_delays_nothing(path, append):
    with open_journal(path, [T], Clock(wall=lambda: 10_000.0)) as journal:
        append(journal, *"abc")
        journal.make(failed(2, next_at=99_999.0))
    with open_journal(path, [T], Clock(wall=lambda: 1_000.0)) as journal:
        now = journal.clock.now()
        due = {item.offset: item.next_at for item in journal.ask(reading.due, "t", 0, FAR, 9)}
    assert due[1] <= now
    assert due[2] <= now


def test_a_trigger_that_lost_its_sink_keeps_its_dead_letters(path, append):
    with open_journal(path, [T], Clock()) as journal:
        append(journal, "a")
        journal.make(failed(1, DEAD_LETTERING))
    with open_journal(path, [T], Clock()) as journal:
        assert offsets(journal, DEAD) == [1]


def test_deliveries_of_a_trigger_that_is_gone_stay_and_are_told(path, append, caplog):
    with open_journal(path, [T], Clock()) as journal:
        append(journal, "a")
    with open_journal(path, [], Clock()) as journal:
        assert offsets(journal) == [1]
    assert "trigger 't', which is not configured" in caplog.text


def test_a_commit_that_fails_changes_nothing_and_the_next_one_works(journal, append):
    connection = journal._writer._connection
    connection.execute("CREATE TEMP TRIGGER full BEFORE INSERT ON deliveries BEGIN "
                       "SELECT RAISE(ABORT, 'no space'); END")  # fmt: skip
    with pytest.raises(JournalUnavailable, match="no space"):
        append(journal, "a")
    assert (journal.failing, ids(journal), journal.head) == (True, [], 0)
    connection.execute("DROP TRIGGER full")
    append(journal, "a")
    assert (journal.failing, ids(journal)) == (False, ["a"])


@pytest.mark.parametrize("error", [MemoryError("none left"), KeyError("a bug")])
def test_a_commit_that_fails_unexpectedly_is_told_and_the_next_one_works(
    journal, append, monkeypatch, caplog, error
):
    with monkeypatch.context() as patched:
        patched.setattr(writer, "commit", raising(error))
        with pytest.raises(JournalUnavailable, match=type(error).__name__):
            append(journal, "lost")
    assert (journal.failing, journal.failures, ids(journal)) == (True, 1, [])
    assert "Traceback" in caplog.text
    assert append(journal, "kept") == 1
    assert (journal.failing, ids(journal)) == (False, ["kept"])


def test_what_was_written_counts_although_those_who_listen_fail(journal, append, caplog):
    journal.listen(raising(KeyError("a bug")))
    assert [append(journal, each) for each in "ab"] == [1, 1]
    assert ids(journal) == ["a", "b"]
    assert "Traceback" in caplog.text


def test_what_nobody_has_written_is_no_success():
    ticket = writer.Ticket([Probe()])
    ticket.finish()
    with pytest.raises(JournalUnavailable, match="died"):
        ticket.result()


def test_a_journal_of_format_1_is_taken_over_with_all_it_holds(path, append):
    with open_journal(path, [T], Clock()) as journal:
        append(journal, "a", "b")
        journal.make(failed(1, DEAD))
    connection = sqlite3.connect(path)
    connection.executescript(
        "DROP TABLE dropped; DROP INDEX events_deadletter; DROP INDEX deliveries_dead; "
        "PRAGMA user_version = 1;"
    )
    connection.close()
    for _ in range(2):
        with open_journal(path, [T], Clock()) as journal:
            found = journal.ask(letters.letters, letters.Name(0), letters.LetterQuery(), 9)
            assert [str(each.name) for each in found] == ["t/1"]
            assert journal.ask(reading.counts) == {("t", DEAD): 1, ("t", PENDING): 1}
            assert journal.head == 2


def test_a_disk_with_hardly_any_room_is_told_and_tried_again(path, journal):
    journal.try_out()
    Path(f"{path}.room").symlink_to("/dev/full")
    with pytest.raises(JournalUnavailable, match="hardly any room left: No space left on device"):
        journal.try_out()
    journal.try_out()


def test_changes_made_together_count_together(journal, append):
    append(journal, "a", "b")
    assert journal.make(Settle("t", 1), Settle("t", 2), Probe()) == 1
    assert offsets(journal) == []


@pytest.mark.parametrize(
    "bring",
    [lambda original: Retry(2, original), lambda original: Append((original,))],
    ids=["retry", "append"],
)
def test_what_is_forgotten_earlier_in_the_same_group_is_taken_in_again(
    journal, append, made, bring
):
    append(journal, "a", "b")
    journal.make(Settle("t", 1), Settle("t", 2))
    journal.make(Forget((1,), ("t",)), bring(entry(made("a"), [T])))
    assert (ids(journal), offsets(journal)) == (["b", "a"], [3])


@pytest.mark.parametrize(
    "bring",
    [lambda original: Retry(2, original), lambda _: Requeue("t", (1,))],
    ids=["retry", "requeue"],
)
def test_what_is_settled_earlier_in_the_same_group_is_delivered_again(journal, append, made, bring):
    append(journal, "a")
    journal.make(Settle("t", 1), bring(entry(made("a"), [T])))
    assert offsets(journal) == [1]
