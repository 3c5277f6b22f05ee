"""The receiver between a sender and a sink, over HTTP."""

import base64
import json
import threading
from pathlib import Path

import pytest

from journal_servers import serving
from rookery.credentials import Outgoing
from rookery.events.broker.backoff import Backoff
from rookery.events.broker.service import Limits
from rookery.events.object_created import from_event
from rookery.events.result import DEADLETTER
from rookery.events.wire import to_binary
from rookery.source.receiver import SINK, Target, open_receiver

SAMPLES = sorted((Path(__file__).parents[2] / "events" / "samples").glob("*/*.json"))
JSON = {"Content_Type": "application/json"}


def push(receiver, body, **headers):
    return receiver.send("POST", "/", body, **(headers or JSON)).status


def letters(receiver):
    return receiver.lines(f"/deadletters?trigger={SINK}")


@pytest.mark.parametrize("path", SAMPLES, ids=[f"{p.parent.name}/{p.stem}" for p in SAMPLES])
def test_every_shape_is_accepted_and_forwarded(receive, subscribe, path):
    sample = json.loads(path.read_text())
    sink = subscribe()
    receiver = receive(sink.url)
    body = sample["body"] if isinstance(sample["body"], str) else json.dumps(sample["body"])
    headers = sample.get("headers", {"Content-Type": "application/json"})
    response = receiver.http.request("POST", receiver.url, headers=headers, body=body.encode())
    assert (response.status, response.data) == (202, b"")
    events = sink.wait(len(sample["objects"]))
    receiver.until_settled(SINK)
    assert sorted(obj.key for event in events for obj in from_event(event)) == sorted(
        wanted["key"] for wanted in sample["objects"]
    )


def test_every_record_of_a_request_is_an_event(receive, subscribe, notification):
    sink = subscribe()
    records = [json.loads(notification(f"{n}.jpg"))["Records"][0] for n in range(20)]
    assert push(receive(sink.url), json.dumps({"Records": records}).encode()) == 202
    assert sorted(event.subject for event in sink.wait(20)) == sorted(f"{n}.jpg" for n in range(20))


def test_the_answer_does_not_wait_for_the_sink(receive, subscribe, notification):
    held = threading.Event()
    sink = subscribe(lambda _: held.wait(10) and 202)
    assert push(receive(sink.url), notification()) == 202
    assert not held.is_set()
    held.set()


def test_repeats_are_absorbed(receive, subscribe, notification):
    sink = subscribe()
    receiver = receive(sink.url)
    for event_id in ("1", "2", "3"):
        assert push(receiver, notification("a.jpg", eventId=event_id)) == 202
    assert push(receiver, notification("b.jpg")) == 202
    sink.wait(2)
    receiver.until_settled(SINK)
    assert sorted(event.subject for event in sink.events) == ["a.jpg", "b.jpg"]
    assert receiver.metric("rookery_receiver_accepted_total") == 2
    assert receiver.metric("rookery_receiver_duplicate_total") == 2


def test_a_repeat_is_absorbed_after_a_restart(subscribe, notification, tmp_path):
    sink = subscribe()
    for keys in (["a.jpg"], ["a.jpg", "b.jpg"]):
        with serving(open_receiver(tmp_path / "r.db", Target(sink.url))) as receiver:
            for key in keys:
                push(receiver, notification(key))
            receiver.until_settled(SINK)
    assert [event.subject for event in sink.events] == ["a.jpg", "b.jpg"]


def test_a_restart_may_name_another_sink(subscribe, notification, tmp_path, unused_url):
    with serving(open_receiver(tmp_path / "r.db", Target(unused_url))) as receiver:
        push(receiver, notification())
    sink = subscribe()
    with serving(open_receiver(tmp_path / "r.db", Target(sink.url))):
        assert [event.subject for event in sink.wait(1)] == ["photo.jpg"]


def test_an_event_that_was_delivered_comes_back_as_a_repeat(receive, subscribe, notification):
    """A broker that sends everything to the receiver again makes no loop."""
    sink = subscribe()
    receiver = receive(sink.url)
    push(receiver, notification())
    (event,) = sink.wait(1)
    headers, body = to_binary(event)
    assert receiver.http.request("POST", receiver.url, headers=headers, body=body).status == 202
    assert receiver.metric("rookery_receiver_duplicate_total") == 1


def test_no_reply_is_asked_for_and_none_is_taken(receive, subscribe, notification):
    reply = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/f", "ce-type": "result"}
    sink = subscribe((200, reply, b"{}"))
    receiver = receive(sink.url)
    push(receiver, notification())
    sink.wait(1)
    receiver.until_settled(SINK)
    assert "prefer" not in sink.headers[0]
    assert len(receiver.lines("/events")) == 1


@pytest.mark.parametrize(
    "answer",
    [202, 200, 204, (200, {"Content-Type": "text/html"}, b"OK"), (201, {}, b'{"a": 1}')],
)
def test_any_2xx_is_an_acknowledgment(receive, subscribe, notification, answer):
    sink = subscribe(answer)
    receiver = receive(sink.url)
    push(receiver, notification())
    receiver.until_settled(SINK)
    assert len(sink.wait(1)) == 1


@pytest.mark.parametrize("status", [401, 404, 408, 409, 429, 500, 502, 503])
def test_what_the_sink_cannot_take_now_is_tried_until_it_can(
    receive, subscribe, notification, status
):
    answers = iter([status] * 12)
    sink = subscribe(lambda _: next(answers, 202))
    # More failures than Knative's ten retries; not so many in a row that it becomes patient.
    receiver = receive(sink.url, target={"backoff": Backoff(delay=0.0), "concurrency": 16})
    push(receiver, notification())
    receiver.until_settled(SINK)
    assert len(sink.events) == 13
    assert receiver.trigger(SINK)["dead"] == 0


def test_everything_arrives_once_after_the_sink_was_away(
    receive, subscribe, notification, unused_url
):
    receiver = receive(unused_url)
    for number in range(60):
        assert push(receiver, notification(f"{number}.jpg")) == 202
    assert receiver.trigger(SINK)["pending"] == 60
    assert receiver.metric("rookery_receiver_oldest_pending_seconds") > 0
    sink = subscribe(port=int(unused_url.rpartition(":")[2]))
    sink.wait(60)
    receiver.until_settled(SINK)
    assert len({event.subject for event in sink.events}) == len(sink.events) == 60


def test_a_sink_that_is_away_is_asked_seldom(receive, notification, unused_url, poll):
    receiver = receive(unused_url)
    for number in range(200):
        push(receiver, notification(f"{number}.jpg"))
    failed = poll(lambda: receiver.metric("rookery_receiver_retried_total"), lambda n: n >= 10)
    assert failed < 40


def test_a_sink_that_hangs_holds_up_nobody_and_gets_the_event_again(
    receive, subscribe, notification
):
    over, hung = threading.Event(), threading.Event()

    def hang(_):
        if not hung.is_set():
            hung.set()
            over.wait(15)
        return 202

    sink = subscribe(hang)
    receiver = receive(sink.url, target={"timeout": 0.2})
    push(receiver, notification())
    receiver.until_settled(SINK)
    over.set()
    assert len(sink.wait(2)) == 2


def test_what_the_sink_refuses_is_kept_and_told(receive, subscribe, notification):
    sink = subscribe(lambda event: 202 if event.type == DEADLETTER else 422)
    receiver = receive(f"{sink.url}?token=geheim")
    push(receiver, notification())
    receiver.until_settled(SINK)
    (refused, letter) = sink.wait(2)
    (kept,) = letters(receiver)
    assert (kept["code"], kept["event"]["id"]) == (422, refused.id)
    told = letter.json()
    assert told["event"]["id"] == refused.id
    assert told["error"]["code"] == "DeliveryRejected"
    assert "answered 422" in told["error"]["message"]
    assert "geheim" not in told["error"]["message"]


def test_a_sink_that_refuses_even_the_letter_ends_it(receive, subscribe, notification):
    sink = subscribe(400)
    receiver = receive(sink.url)
    push(receiver, notification())
    receiver.until_settled(SINK)
    assert sorted(letter["event"]["type"] for letter in letters(receiver)) == sorted(
        [DEADLETTER, "com.amazonaws.s3.ObjectCreated:Put"]
    )
    assert len(sink.events) == 2


def test_a_dead_letter_can_be_replayed(receive, subscribe, notification):
    answers = iter([422, 202])
    sink = subscribe(lambda _: next(answers, 202))
    receiver = receive(sink.url)
    push(receiver, notification())
    receiver.until_settled(SINK)
    assert receiver.send("POST", f"/replay?trigger={SINK}&deadletters=true").status == 200
    assert [event.type for event in sink.wait(3)].count(DEADLETTER) == 1
    receiver.until_settled(SINK)
    assert letters(receiver) == []


@pytest.mark.parametrize(
    "body",
    [b"<html>502 Bad Gateway</html>", b"\xff\xfe\x00", b"[" * 5000, b'{"Records": 1}',
     b'{"s3": {"bucket": {"name": "\\ud800"}}}'],
)  # fmt: skip
def test_poison_is_acknowledged_kept_and_told(receive, subscribe, body):
    sink = subscribe()
    receiver = receive(sink.url)
    assert push(receiver, body) == 202
    (letter,) = sink.wait(1)
    assert (letter.type, letter.source) == (DEADLETTER, "/rookery/sources/ceph")
    assert base64.b64decode(letter.json()["body_base64"]) == body
    assert receiver.metric('rookery_receiver_poisoned_total{error="EventInvalid"}') == 1


def test_the_same_poison_a_thousand_times_is_one_letter(receive, subscribe):
    sink = subscribe()
    receiver = receive(sink.url)
    assert {push(receiver, b"<html>") for _ in range(50)} == {202}
    sink.wait(1)
    receiver.until_settled(SINK)
    assert len(sink.events) == 1


def test_poison_can_be_rejected(receive, subscribe):
    receiver = receive(subscribe().url, on_poison="reject")
    response = receiver.send("POST", "/", b"<html>", **JSON)
    assert (response.status, response.json()["error"]) == (400, "EventInvalid")
    assert receiver.lines("/events") == []


def test_extensions_of_the_binding_are_on_every_event(receive, subscribe, notification):
    sink = subscribe(lambda event: 202 if event.type == DEADLETTER else 400)
    receiver = receive(sink.url, target={"extensions": {"tenant": "a"}})
    push(receiver, notification())
    push(receiver, b"<html>")
    assert {event.extensions.get("tenant") for event in sink.wait(3)} == {"a"}


def test_the_sink_is_shown_our_token(receive, subscribe, notification):
    sink = subscribe()
    receiver = receive(sink.url, target={"outgoing": Outgoing(lambda: ("abc",))})
    push(receiver, notification())
    sink.wait(1)
    assert sink.headers[0]["authorization"] == "Bearer abc"


def test_is_ready_while_the_sink_is_away(receive, unused_url, notification):
    receiver = receive(unused_url)
    push(receiver, notification())
    assert receiver.send("GET", "/health/readiness").status == 200
    assert receiver.send("GET", "/health/liveness").status == 200


def test_is_not_ready_while_it_drains(receive, unused_url):
    receiver = receive(unused_url)
    receiver.broker.drain()
    assert receiver.send("GET", "/health/readiness").status == 503


def test_stops_at_once_while_the_sink_is_away(tmp_path, unused_url, notification):
    limits = Limits(drain_seconds=30)
    with serving(open_receiver(tmp_path / "r.db", Target(unused_url), limits=limits)) as receiver:
        for number in range(50):
            push(receiver, notification(f"{number}.jpg"))
    assert [each for each in threading.enumerate() if each.name.startswith("broker-sink")] == []


def test_a_journal_that_cannot_be_written_refuses_cheaply_and_recovers_by_itself(
    receive, subscribe, notification, poll
):
    sink = subscribe()
    receiver = receive(sink.url)
    connection = receiver.broker.journal._writer._connection
    connection.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    for number in range(300):
        response = receiver.send("POST", "/", notification(f"{number}.jpg"), **JSON)
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
    assert receiver.send("GET", "/health/liveness").status == 200
    connection.execute("DROP TRIGGER full")
    poll(lambda: push(receiver, notification("after.jpg")), lambda status: status == 202)
    assert [event.subject for event in sink.wait(1)] == ["after.jpg"]


def test_while_the_journal_fails_the_disk_is_not_tried_for_every_request(
    receive, notification, unused_url
):
    receiver = receive(unused_url)
    journal, tried = receiver.broker.journal, []
    journal._writer._connection.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    make = journal.make
    journal.make = lambda change: tried.append(change) or make(change)
    for number in range(300):
        assert push(receiver, notification(f"{number}.jpg")) == 503
    assert len(tried) < 30
