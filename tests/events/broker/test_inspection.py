import json
import threading
from datetime import UTC, datetime

import pytest

from rookery.events.broker.backoff import Backoff
from rookery.events.broker.filters import Exact
from rookery.events.broker.service import Limits
from rookery.events.wire import to_batch


@pytest.fixture
def filled(serve, numbered, made):
    """A broker with 10 events of two types and one of another source."""
    broker = serve()
    batch = [*numbered(10), made("other", source="/other", type="another", subject="s")]
    headers, body = to_batch(batch)
    broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    return broker


def ids(broker, query):
    return [line["event"]["id"] for line in broker.lines(f"/events{query}")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?limit=3", ["0", "1", "2"]),
        ("?after=8", ["8", "9", "other"]),
        ("?after=8&limit=1", ["8"]),
        ("?after=now", []),
        ("?after=999", []),
        ("?limit=0", []),
        ("?type=anot", ["other"]),
        ("?type=test.&limit=2", ["0", "1"]),
        ("?source=/other", ["other"]),
        ("?subject=s", ["other"]),
        ("?subject=x", []),
        ("?type=%25", []),
    ],
)
def test_lists_events(filled, query, expected):
    assert ids(filled, query) == expected


def test_lists_offsets_in_journal_order(filled):
    assert [line["offset"] for line in filled.lines("/events")] == list(range(1, 12))


@pytest.mark.parametrize(
    ("query", "after"),
    [("?limit=3", "3"), ("", "11"), ("?type=none", "11"), ("?after=now", "11"), ("?limit=0", "11")],
)
def test_says_where_to_read_on(filled, query, after):
    assert filled.send("GET", f"/events{query}").headers["Rookery-After"] == after


@pytest.mark.parametrize(
    "path",
    [
        "/events?after=x",
        "/events?after=-1",
        "/events?after=99999999999999999999",
        "/events?limit=many",
        "/events?wait=nan",
        "/events?wait=-1",
        "/events?typ=x",
        "/deadletters?triger=x",
    ],
)
def test_refuses_a_question_it_cannot_answer(filled, path):
    response = filled.send("GET", path)
    assert (response.status, response.json()["error"]) == (400, "RequestInvalid")


def test_waits_for_the_next_event_that_is_wanted(filled, made):
    asked = threading.Event()
    answers = []

    def ask():
        asked.set()
        answers.extend(filled.lines("/events?after=now&type=wanted&wait=15"))

    thread = threading.Thread(target=ask)
    thread.start()
    asked.wait(15)
    # Until the request has begun to wait, its "now" may still move past this event.
    number = 0
    while thread.is_alive():
        filled.post(made(f"unwanted-{number}"))
        filled.post(made(f"wanted-{number}", type="wanted.x"))
        thread.join(0.05)
        number += 1
    assert answers[0]["event"]["type"] == "wanted.x"


def test_a_wait_that_sees_nothing_ends(filled):
    assert filled.lines("/events?after=now&wait=0.05") == []


def test_a_wait_ends_when_the_broker_drains(filled):
    done = threading.Event()

    def ask():
        filled.lines("/events?after=now&wait=60")
        done.set()

    threading.Thread(target=ask, daemon=True).start()
    while not done.wait(0.05):
        filled.broker.drain()


def test_only_so_many_may_wait(serve, made):
    broker = serve(limits=Limits(waiting=0))
    assert broker.send("GET", "/events?wait=1").status == 429
    assert broker.post(made("1")) == 202


@pytest.fixture
def dead(serve, subscribe, trigger, numbered):
    """A broker with five dead letters for each of two triggers, and its subscriber."""
    told = {"status": 422}
    subscriber = subscribe(lambda _: told["status"])
    broker = serve(
        trigger(subscriber.url, "one"),
        trigger(subscriber.url, "two", filter=Exact("source", "/test")),
    )
    headers, body = to_batch(numbered(5))
    broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    for name in ("one", "two"):
        broker.until(name, lambda each: each["dead"] == 5)
    told["status"] = 200
    return broker, subscriber


def test_lists_the_dead_letters_of_all_triggers(dead):
    broker, _ = dead
    found = [(line["event"]["id"], line["trigger"]) for line in broker.lines("/deadletters")]
    assert found == [(str(n), name) for n in range(5) for name in ("one", "two")]


def test_lists_the_dead_letters_of_one_trigger(dead):
    broker, _ = dead
    assert {line["trigger"] for line in broker.lines("/deadletters?trigger=two")} == {"two"}


def test_lists_more_dead_letters_than_a_page(serve, subscribe, trigger, numbered):
    broker = serve(trigger(subscribe(422).url))
    headers, body = to_batch(numbered(70))
    broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    broker.until("t", lambda each: each["dead"] == 70)
    assert len(broker.lines("/deadletters")) == 70


def test_replays_the_dead_letters_of_one_trigger(dead):
    broker, subscriber = dead
    before = len(subscriber.ids)
    assert broker.send("POST", "/replay?trigger=one&deadletters=true").json() == {"queued": 5}
    subscriber.wait(before + 5)
    assert broker.until_settled("one")["dead"] == 0
    assert broker.trigger("two")["dead"] == 5


def test_replays_what_matches_from_an_offset(serve, subscribe, trigger, made):
    subscriber, other = subscribe(), subscribe()
    broker = serve(trigger(subscriber.url, filter=Exact("type", "a")), trigger(other.url, "other"))
    for number, type_ in enumerate("abab"):
        broker.post(made(str(number), type=type_))
    subscriber.wait(2)
    other.wait(4)
    broker.until_settled("t")
    assert broker.send("POST", "/replay?trigger=t&after=1").json() == {"queued": 1}
    assert [event.id for event in subscriber.wait(3)][2] == "2"
    assert len(other.ids) == 4


def test_replays_what_was_received_since_a_time(serve, subscribe, trigger, numbered):
    subscriber = subscribe()
    broker = serve(trigger(subscriber.url))
    for event in numbered(3):
        broker.post(event)
    subscriber.wait(3)
    broker.until_settled("t")
    later = datetime(2999, 1, 1, tzinfo=UTC).isoformat()
    assert broker.send("POST", f"/replay?trigger=t&since={later}").json() == {"queued": 0}
    path = "/replay?trigger=t&since=2020-01-01T00:00:00Z"
    assert broker.send("POST", path).json() == {"queued": 3}
    subscriber.wait(6)


def test_a_replay_leaves_alone_what_is_still_pending(serve, subscribe, trigger, made):
    broker = serve(trigger(subscribe(503).url, backoff=Backoff(delay=30)))
    broker.post(made("1"))
    assert broker.send("POST", "/replay?trigger=t&after=0").json() == {"queued": 0}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "trigger=nobody&after=0",
        "trigger=one",
        "trigger=one&after=0&deadletters=true",
        "trigger=one&deadletters=yes",
        "trigger=one&since=yesterday",
        "trigger=one&since=2026-01-01T00:00:00",
        "trigger=one&after=x",
        "trigger=one&before=3",
    ],
)
def test_refuses_a_replay_it_cannot_make(dead, query):
    assert dead[0].send("POST", f"/replay?{query}").status == 400


def test_describes_its_triggers(serve, trigger):
    broker = serve(trigger("http://127.0.0.1:9/x", filter=Exact("type", "a"), concurrency=3))
    assert json.loads(broker.send("GET", "/triggers").data)["triggers"] == [
        {
            "name": "t",
            "configured": True,
            "subscriber": "http://127.0.0.1:9/x",
            "deadLetterSink": None,
            "ordered": False,
            "concurrency": 3,
            "filter": {"exact": {"type": "a"}},
            "pending": 0,
            "dead": 0,
        }
    ]


def test_metrics_show_the_backlog(dead):
    broker, _ = dead
    assert broker.metric('rookery_broker_dead_letters{trigger="one"}') == 5
    assert broker.metric('rookery_broker_pending{trigger="one"}') == 0
