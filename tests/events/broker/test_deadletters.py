import threading
from datetime import UTC, datetime, timedelta

import pytest

from journal_servers import serving
from rookery.errors import EventInvalid
from rookery.events.broker.filters import Exact
from rookery.events.broker.service import open_broker
from rookery.events.result import DEADLETTER, MAX_KEPT_BYTES, deadletter
from rookery.events.wire import CloudEvent, to_binary

REFUSAL = b'{"error": "ImageUndecodable", "message": "the bytes are no image"}'


def letter_of(original, message="no key"):
    """The event a function sends where it acknowledges poison."""
    return deadletter(
        EventInvalid(message), original, source="/f", time="2026-01-31T12:00:00Z", status=400
    )


@pytest.fixture
def told():
    """How the subscriber answers: told["answer"]."""
    return {"answer": (422, {"Content-Type": "application/json"}, REFUSAL)}


@pytest.fixture
def subscriber(subscribe, told):
    return subscribe(lambda _: told["answer"])


@pytest.fixture
def broker(serve, trigger, subscriber):
    """A broker with trigger `t`, which wants events of type test.happened."""
    return serve(trigger(subscriber.url, filter=Exact("type", "test.happened")))


@pytest.fixture
def kill(broker, made):
    """Make a dead letter of an event: kill(id, subject=...)."""

    def do(id_="1", **fields):
        dead = broker.trigger("t")["dead"]
        broker.post(made(id_, **fields))
        broker.until("t", lambda each: each["dead"] == dead + 1)

    return do


def listed(broker, query=""):
    return [letter["id"] for letter in broker.lines(f"/deadletters{query}")]


def retry(broker, ids):
    return broker.send("POST", f"/replay?id={ids}").json()


def drop(broker, ids):
    return broker.send("DELETE", f"/deadletters?id={ids}").json()


# --- listing


def test_a_delivery_that_failed_tells_everything(broker, kill):
    kill(subject="a.jpg")
    (letter,) = broker.lines("/deadletters")
    times = [datetime.fromisoformat(letter.pop(name)) for name in ("received", "died")]
    assert times[0] <= times[1] <= datetime.now(UTC) + timedelta(seconds=1)
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/test",
        "type": "test.happened",
        "subject": "a.jpg",
    }
    assert letter == {
        "id": "t/1",
        "trigger": "t",
        "offset": 1,
        "code": 422,
        "reason": "answered 422: ImageUndecodable: the bytes are no image (1 attempt)",
        "attempts": 1,
        "answer": REFUSAL.decode(),
        "event": event,
        "original": event,
        "problem": None,
    }


def test_a_dead_letter_event_tells_what_it_keeps(broker, made):
    original = made("7", subject="b.jpg")
    broker.post(letter_of(original))
    (letter,) = broker.lines("/deadletters")
    assert (letter["id"], letter["trigger"], letter["code"]) == ("1", None, 400)
    assert letter["reason"] == "EventInvalid: no key"
    assert letter["event"]["type"] == DEADLETTER
    assert (letter["original"]["id"], letter["original"]["subject"]) == ("7", "b.jpg")
    assert letter["problem"] is None


def test_both_kinds_are_in_one_list_in_journal_order(broker, made, kill):
    broker.post(letter_of(made("7")))
    kill("1")
    broker.post(letter_of(made("8")))
    assert listed(broker) == ["1", "t/2", "3"]


def test_more_than_a_page_of_both_kinds_is_listed(broker, made, kill):
    for number in range(40):
        broker.post(letter_of(made(f"kept-{number}")))
    for number in range(3):
        kill(str(number))
    assert len(set(listed(broker))) == 43


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("?trigger=t", ["t/1", "t/2"]),
        ("?type=test.", ["t/1", "t/2", "3"]),
        ("?type=dev.rookery", []),
        ("?subject=a.jpg", ["t/1", "3"]),
        ("?subject=a", []),
        ("?reason=IMAGEUNDE", ["t/1", "t/2"]),
        ("?reason=no+key", ["3"]),
        ("?since=2020-01-01T00:00:00Z", ["t/1", "t/2", "3"]),
        ("?since=2999-01-01T00:00:00Z", []),
        ("?trigger=t&subject=a.jpg", ["t/1"]),
        ("?id=t/2,3", ["t/2", "3"]),
        ("?id=t/3,2,other/1,99", []),
    ],
)
def test_lists_what_is_wanted(broker, made, kill, query, ids):
    kill("1", subject="a.jpg")
    kill("2", subject="b.jpg")
    broker.post(letter_of(made("7", subject="a.jpg")))
    assert listed(broker, query) == ids


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("trigger=nobody", "known are t"),
        ("since=yesterday", "RFC 3339"),
        ("id=x", "TRIGGER/OFFSET"),
        ("id=t/", "TRIGGER/OFFSET"),
        ("id=", "1 to 500"),
        ("offset=1", "unknown query field"),
    ],
)
def test_refuses_a_question_it_cannot_answer(broker, query, says):
    response = broker.send("GET", f"/deadletters?{query}")
    assert response.status == 400
    assert says in response.json()["message"]


# --- retrying


def test_a_delivery_is_made_again_to_its_trigger(broker, told, subscriber, kill):
    kill("1")
    kill("2")
    told["answer"] = 200
    assert retry(broker, "t/2") == {"done": ["t/2"], "refused": []}
    assert subscriber.wait(3)[2].id == "2"
    broker.until("t", lambda each: (each["pending"], each["dead"]) == (0, 1))
    assert listed(broker) == ["t/1"]


def test_what_fails_again_is_a_dead_letter_again(broker, subscriber, kill):
    kill("1")
    retry(broker, "t/1")
    subscriber.wait(2)
    broker.until("t", lambda each: each["dead"] == 1)
    assert listed(broker) == ["t/1"]


def test_a_kept_event_that_the_journal_has_is_delivered_again(broker, told, subscriber, made):
    told["answer"] = 200
    broker.post(made("7"))
    subscriber.wait(1)
    broker.until_settled("t")
    broker.post(letter_of(made("7")))
    assert retry(broker, "2") == {"done": ["2"], "refused": []}
    assert [event.id for event in subscriber.wait(2)] == ["7", "7"]
    assert broker.until_settled("t")["dead"] == 0
    assert [line["event"]["id"] for line in broker.lines("/events?type=test.")] == ["7"]
    assert listed(broker) == []


def test_a_kept_event_that_the_journal_has_not_comes_in(broker, told, subscriber, made):
    told["answer"] = 200
    broker.post(letter_of(made("7", data=b"{}", datacontenttype="application/json")))
    retry(broker, "1")
    assert subscriber.wait(1)[0].data == b"{}"
    assert [line["event"]["id"] for line in broker.lines("/events?type=test.")] == ["7"]
    assert listed(broker) == []


def test_a_kept_event_that_fails_again_is_listed_again(broker, told, made):
    told["answer"] = 200
    broker.post(letter_of(made("7")))
    retry(broker, "1")
    assert listed(broker) == []
    broker.post(letter_of(made("7")))  # the function says the same, with the same id
    assert listed(broker) == ["1"]


def test_a_reply_that_says_the_same_again_is_listed_again(broker, told, subscriber, made):
    letter = letter_of(made("7"))
    headers, body = to_binary(letter)
    told["answer"] = (200, headers, body)
    broker.post(made("7"))
    broker.until_settled("t")
    assert listed(broker) == ["2"]
    retry(broker, "2")
    subscriber.wait(2)
    broker.until_settled("t")
    assert listed(broker) == ["2"]


@pytest.mark.parametrize(
    ("original", "says"),
    [
        (b"no event", "no event"),
        (CloudEvent(id="7", source="s", type="test.happened", data=b"1" * 40_000), "cut"),
        (CloudEvent(id="7", source="s", type="unwanted"), "no trigger wants"),
    ],
)
def test_what_cannot_be_retried_says_why_and_stays(broker, original, says):
    assert MAX_KEPT_BYTES < 40_000
    broker.post(letter_of(original))
    (refused,) = retry(broker, "1")["refused"]
    assert refused["id"] == "1"
    assert says in refused["message"]
    assert listed(broker) == ["1"]


def test_some_may_be_refused_while_others_are_done(broker, told, subscriber, kill):
    kill("1")
    told["answer"] = 200
    answer = retry(broker, "99,t/1,t/99,other/1")
    assert answer["done"] == ["t/1"]
    assert [each["id"] for each in answer["refused"]] == ["99", "t/99", "other/1"]
    subscriber.wait(2)


def test_a_dead_letter_is_not_retried_twice(broker, told, kill):
    kill("1")
    told["answer"] = 200
    retry(broker, "t/1")
    broker.until_settled("t")
    assert retry(broker, "t/1")["done"] == []


@pytest.mark.parametrize("query", ["id=t/1&trigger=t", "id=", "id=,", "id=t"])
def test_refuses_a_retry_it_cannot_make(broker, query):
    assert broker.send("POST", f"/replay?{query}").status == 400


def test_too_many_names_at_once_are_refused(broker):
    names = ",".join(str(number) for number in range(501))
    assert broker.send("DELETE", f"/deadletters?id={names}").status == 400


# --- dropping


def test_a_dropped_delivery_is_gone_and_its_event_is_not(broker, kill):
    kill("1")
    kill("2")
    assert drop(broker, "t/1") == {"done": ["t/1"], "refused": []}
    assert listed(broker) == ["t/2"]
    assert broker.trigger("t")["dead"] == 1
    assert len(broker.lines("/events")) == 2


def test_a_dropped_event_is_not_listed_and_stays_in_the_journal(broker, made):
    broker.post(letter_of(made("7")))
    assert drop(broker, "1") == {"done": ["1"], "refused": []}
    assert listed(broker) == []
    assert len(broker.lines(f"/events?type={DEADLETTER}")) == 1


def test_what_is_no_dead_letter_is_not_dropped(broker, told, subscriber, made):
    told["answer"] = 200
    broker.post(made("1"))
    subscriber.wait(1)
    answer = drop(broker, "1,t/1")
    assert answer["done"] == []
    assert len(answer["refused"]) == 2
    assert len(broker.lines("/events")) == 1


@pytest.mark.parametrize("query", ["", "id=", "trigger=t", "id=t"])
def test_refuses_to_drop_what_is_not_named(broker, kill, query):
    kill("1")
    assert broker.send("DELETE", f"/deadletters?{query}").status == 400
    assert listed(broker) == ["t/1"]


def test_only_dead_letters_can_be_deleted(broker):
    assert broker.send("DELETE", "/events").status == 405


# --- restarts


@pytest.fixture
def again(tmp_path, trigger, subscriber):
    """Serve one journal, again and again: with again(name) as broker."""

    def start(name="t"):
        return serving(open_broker(tmp_path / "again.db", (trigger(subscriber.url, name),)))

    return start


def test_what_was_dealt_with_stays_so_over_a_restart(again, made):
    with again() as broker:
        broker.post(letter_of(made("7")))
        broker.post(made("1"))
        broker.until("t", lambda each: each["dead"] == 2)
        assert listed(broker) == ["1", "t/1", "t/2"]
        drop(broker, "1,t/1")
    with again() as broker:
        assert listed(broker) == ["t/2"]


def test_the_letters_of_a_trigger_that_is_gone_can_be_dropped_and_not_retried(again, made):
    with again() as broker:
        broker.post(made("1"))
        broker.until("t", lambda each: each["dead"] == 1)
    with again("other") as broker:
        assert listed(broker, "?trigger=t") == ["t/1"]
        (refused,) = retry(broker, "t/1")["refused"]
        assert "not configured" in refused["message"]
        assert drop(broker, "t/1")["done"] == ["t/1"]
        assert listed(broker) == []


def test_a_storm_of_repeats_and_retries_loses_no_letter(broker, told, made):
    told["answer"] = 200
    letter = letter_of(made("7"))
    broker.post(letter)
    together = threading.Barrier(2)

    def again():
        together.wait(15)
        for _ in range(20):
            broker.post(letter)

    poster = threading.Thread(target=again)
    poster.start()
    together.wait(15)
    for _ in range(20):
        retry(broker, "1")
    poster.join(15)
    broker.post(letter)
    assert listed(broker) == ["1"]
