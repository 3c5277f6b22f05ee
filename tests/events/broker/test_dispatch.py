"""The delivery contract, between a real broker and real subscribers."""

import base64
import sqlite3
import threading
from dataclasses import replace

import pytest

from rookery.credentials import Outgoing
from rookery.events.broker import reading, settling, worker
from rookery.events.broker.backoff import Backoff
from rookery.events.broker.changes import Append
from rookery.events.broker.entry import entry
from rookery.events.broker.filters import Exact, Prefix
from rookery.events.broker.service import Limits, open_broker
from rookery.events.wire import to_batch, to_binary, to_structured

QUICK = Backoff(delay=0.01)


def counting(statuses, then=200):
    """Answer the given statuses to the first attempts of each event, then the last one."""
    left = {}

    def answer(event):
        rest = left.setdefault(event.id, list(statuses))
        return rest.pop(0) if rest else then

    return answer


def test_delivers_in_binary_mode_and_prefers_a_reply(serve, subscribe, trigger, made):
    subscriber = subscribe()
    broker = serve(trigger(subscriber.url))
    event = made("1", subject="s", datacontenttype="text/plain", data=b"hello")
    broker.post(event)
    assert subscriber.wait(1) == [event]
    assert subscriber.headers[0]["prefer"] == "reply"
    assert subscriber.headers[0]["ce-id"] == "1"


def test_delivers_in_structured_mode_where_the_trigger_wants_it(serve, subscribe, trigger, made):
    subscriber = subscribe()
    broker = serve(trigger(subscriber.url, structured=True))
    broker.post(made("1"))
    subscriber.wait(1)
    assert subscriber.headers[0]["content-type"] == "application/cloudevents+json"


def test_delivers_to_those_whose_filter_passes(serve, subscribe, trigger, made):
    one, both = subscribe(), subscribe()
    broker = serve(
        trigger(one.url, "one", filter=Exact("type", "a")),
        trigger(both.url, "both", filter=Prefix("source", "/test")),
    )
    for type_ in ("a", "b"):
        broker.post(made(type_, type=type_))
    both.wait(2)
    broker.until_settled("one")
    assert (one.ids, sorted(both.ids)) == (["a"], ["a", "b"])


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 503])
def test_retries(serve, subscribe, trigger, made, status):
    subscriber = subscribe(counting([status, status]))
    broker = serve(trigger(subscriber.url, backoff=QUICK))
    broker.post(made("1"))
    assert [event.id for event in subscriber.wait(3)] == ["1"] * 3
    assert broker.until_settled("t")["dead"] == 0
    assert broker.metric('rookery_broker_retried_total{trigger="t"}') == 2
    assert broker.metric('rookery_broker_delivered_total{trigger="t"}') == 1


@pytest.mark.parametrize("status", [302, 400, 410, 422])
def test_does_not_retry(serve, subscribe, trigger, made, status):
    subscriber = subscribe(status)
    broker = serve(trigger(subscriber.url, backoff=QUICK))
    broker.post(made("1"))
    assert broker.until("t", lambda each: each["dead"] == 1)["pending"] == 0
    assert subscriber.ids == ["1"]


def test_gives_up_after_the_retries(serve, subscribe, trigger, made):
    subscriber = subscribe(503)
    broker = serve(trigger(subscriber.url, retry=2, backoff=QUICK))
    broker.post(made("1"))
    broker.until("t", lambda each: each["dead"] == 1)
    assert len(subscriber.ids) == 3
    (letter,) = broker.lines("/deadletters")
    assert letter["reason"] == "answered 503 (3 attempts)"
    assert (letter["trigger"], letter["code"], letter["event"]["id"]) == ("t", 503, "1")


def test_retries_when_nobody_listens(serve, subscribe, trigger, made):
    subscriber = subscribe()
    subscriber.close()
    broker = serve(trigger(subscriber.url, retry=2, backoff=QUICK))
    broker.post(made("1"))
    broker.until("t", lambda each: each["dead"] == 1)
    assert "refused" in broker.lines("/deadletters")[0]["reason"]


def test_retries_after_a_timeout(serve, subscribe, trigger, made):
    release = threading.Event()
    first = threading.Lock()

    def slow_once(_):
        if first.acquire(blocking=False):
            release.wait(15)
        return 200

    subscriber = subscribe(slow_once)
    broker = serve(trigger(subscriber.url, timeout=0.2, backoff=QUICK))
    broker.post(made("1"))
    subscriber.wait(2)
    broker.until_settled("t")
    release.set()


def test_waits_as_long_as_retry_after_says(serve, subscribe, trigger, made):
    subscriber = subscribe(lambda _: (503, {"Retry-After": "30"}, b""))
    broker = serve(trigger(subscriber.url, backoff=QUICK))
    broker.post(made("1"))
    retried = 'rookery_broker_retried_total{trigger="t"}'
    broker.until("t", lambda _: broker.metric(retried) == 1)
    journal = broker.broker.journal
    due = journal.ask(reading.next_due, "t", 0, 0.0) - journal.clock.now()
    assert 20 < due <= 30


def test_a_success_with_another_body_is_retried(serve, subscribe, trigger, made):
    subscriber = subscribe(counting([(200, {"Content-Type": "text/html"}, b"OK")], then=204))
    broker = serve(trigger(subscriber.url, backoff=QUICK))
    broker.post(made("1"))
    subscriber.wait(2)
    broker.until_settled("t")


@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_a_reply_enters_the_broker(serve, subscribe, trigger, made, write):
    def reply(event):
        headers, body = write(made(f"re:{event.id}", type="reply", data=b"{}"))
        return 200, headers, body

    asked, heard = subscribe(reply), subscribe()
    broker = serve(
        trigger(asked.url, "asked", filter=Exact("type", "test.happened")),
        trigger(heard.url, "heard", filter=Exact("type", "reply")),
    )
    broker.post(made("1"))
    assert [event.id for event in heard.wait(1)] == ["re:1"]
    assert broker.metric('rookery_broker_replies_total{trigger="asked"}') == 1


def test_a_batch_reply_is_several_events(serve, subscribe, trigger, made, numbered):
    headers, body = to_batch(numbered(3, type="reply"))
    asked, heard = subscribe((200, headers, body)), subscribe()
    broker = serve(
        trigger(asked.url, "asked", filter=Exact("type", "test.happened")),
        trigger(heard.url, "heard", filter=Exact("type", "reply")),
    )
    broker.post(made("1"))
    heard.wait(3)
    assert sorted(heard.ids) == ["0", "1", "2"]


def test_the_same_reply_twice_is_one_event(serve, subscribe, trigger, made, numbered):
    headers, body = to_binary(made("result", type="reply"))
    asked, heard = subscribe((200, headers, body)), subscribe()
    broker = serve(
        trigger(asked.url, "asked", filter=Exact("type", "test.happened")),
        trigger(heard.url, "heard", filter=Exact("type", "reply")),
    )
    for event in numbered(3):
        broker.post(event)
    asked.wait(3)
    broker.until_settled("asked")
    broker.until_settled("heard")
    assert heard.ids == ["result"]


def test_an_echo_is_no_new_event(serve, subscribe, trigger, made):
    def echo(event):
        headers, body = to_binary(event)
        return 200, headers, body

    subscriber = subscribe(echo)
    broker = serve(trigger(subscriber.url))
    broker.post(made("1"))
    subscriber.wait(1)
    broker.until_settled("t")
    assert subscriber.ids == ["1"]


def test_a_loop_ends_when_the_hops_are_used_up(serve, subscribe, trigger, made):
    def count_up(event):
        headers, body = to_binary(replace(event, id=str(int(event.id) + 1)))
        return 200, headers, body

    subscriber = subscribe(count_up)
    broker = serve(trigger(subscriber.url))
    broker.post(made("0", extensions={"knativebrokerttl": "5"}))
    subscriber.wait(4)
    broker.until_settled("t")
    assert subscriber.ids == ["0", "1", "2", "3"]
    assert "knativebrokerttl" not in subscriber.events[0].extensions
    assert broker.metric("rookery_broker_hop_limit_total") == 1


def test_a_dead_letter_goes_to_the_sink(serve, subscribe, trigger, made):
    subscriber, sink = subscribe((422, {}, b'{"error": "ImageUndecodable"}')), subscribe()
    broker = serve(trigger(subscriber.url, dead_letter=sink.url))
    broker.post(made("1", data=b"x"))
    (letter,) = sink.wait(1)
    assert (letter.id, letter.type, letter.data) == ("1", "test.happened", b"x")
    assert letter.extensions["knativeerrordest"] == subscriber.url
    assert letter.extensions["knativeerrorcode"] == "422"
    data = base64.b64decode(letter.extensions["knativeerrordata"])
    assert data == b'{"error": "ImageUndecodable"}'
    assert broker.until_settled("t")["dead"] == 0


def test_what_a_success_repeats_of_our_token_is_not_kept(serve, subscribe, trigger, made):
    page = b"<p>Authorization: Bearer open-sesame</p>"
    subscriber, sink = subscribe((200, {"Content-Type": "text/html"}, page)), subscribe()
    outgoing = Outgoing(tokens=lambda: ("open-sesame",))
    broker = serve(trigger(subscriber.url, retry=0, dead_letter=sink.url), outgoing=outgoing)
    broker.post(made("1"))
    (letter,) = sink.wait(1)
    data = base64.b64decode(letter.extensions["knativeerrordata"])
    assert data == b"<p>Authorization: Bearer ***</p>"


def test_what_a_reason_repeats_of_our_token_is_not_kept(serve, subscribe, trigger, made):
    subscriber = subscribe((200, {"Content-Encoding": "open-sesame"}, b"x"))
    outgoing = Outgoing(tokens=lambda: ("open-sesame",))
    broker = serve(trigger(subscriber.url, retry=0), outgoing=outgoing)
    broker.post(made("1"))
    broker.until("t", lambda each: each["dead"] == 1)
    assert "encoded with '***'" in broker.lines("/deadletters")[0]["reason"]


def test_a_dead_letter_is_tried_again_at_the_sink(serve, subscribe, trigger, made):
    subscriber, sink = subscribe(400), subscribe(counting([503, 404]))
    broker = serve(trigger(subscriber.url, dead_letter=sink.url, backoff=QUICK))
    broker.post(made("1"))
    sink.wait(3)
    assert broker.until_settled("t")["dead"] == 0
    assert broker.metric('rookery_broker_dead_lettered_total{trigger="t"}') == 1


def test_a_dead_letter_the_sink_refuses_is_kept(serve, subscribe, trigger, made):
    subscriber, sink = subscribe(422), subscribe(400)
    broker = serve(trigger(subscriber.url, dead_letter=sink.url))
    broker.post(made("1"))
    broker.until("t", lambda each: each["dead"] == 1)
    (letter,) = broker.lines("/deadletters")
    assert letter["code"] == 422
    assert "the dead letter sink answered 400" in letter["reason"]


def test_what_the_sink_answers_is_no_reply(serve, subscribe, trigger, made):
    headers, body = to_binary(made("r"))
    subscriber, sink = subscribe(400), subscribe((200, headers, body))
    broker = serve(trigger(subscriber.url, dead_letter=sink.url))
    broker.post(made("1"))
    sink.wait(1)
    broker.until_settled("t")
    assert [line["event"]["id"] for line in broker.lines("/events")] == ["1"]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_attempts_at_once_than_allowed(serve, subscribe, trigger, numbered, concurrency):
    full, release = threading.Barrier(concurrency + 1), threading.Event()

    def hold(_):
        if not release.is_set():
            full.wait(15)
            release.wait(15)
        return 200

    subscriber = subscribe(hold)
    broker = serve(trigger(subscriber.url, concurrency=concurrency))
    for event in numbered(12):
        broker.post(event)
    full.wait(15)
    release.set()
    subscriber.wait(12)
    broker.until_settled("t")
    assert subscriber.most_in_flight <= concurrency


def test_an_ordered_trigger_holds_up_what_follows_a_failure(serve, subscribe, trigger, numbered):
    first = counting([503, 503])
    subscriber = subscribe(lambda event: first(event) if event.id == "1" else 200)
    broker = serve(trigger(subscriber.url, ordered=True, concurrency=1, backoff=QUICK))
    for event in numbered(5):
        broker.post(event)
    subscriber.wait(7)
    assert subscriber.ids == ["0", "1", "1", "1", "2", "3", "4"]
    assert broker.until_settled("t")["dead"] == 0


def test_an_ordered_trigger_goes_on_after_a_dead_letter(serve, subscribe, trigger, numbered):
    subscriber = subscribe(lambda event: 422 if event.id == "1" else 200)
    broker = serve(trigger(subscriber.url, ordered=True, concurrency=1))
    for event in numbered(4):
        broker.post(event)
    subscriber.wait(4)
    assert subscriber.ids == ["0", "1", "2", "3"]


def test_a_failing_event_holds_up_nothing_of_an_unordered_trigger(
    serve, subscribe, trigger, numbered
):
    subscriber = subscribe(lambda event: 503 if event.id == "0" else 200)
    broker = serve(trigger(subscriber.url, concurrency=1, backoff=Backoff(delay=30)))
    for event in numbered(4):
        broker.post(event)
    subscriber.wait(4)
    assert broker.until("t", lambda each: each["pending"] == 1)
    assert sorted(subscriber.ids) == ["0", "1", "2", "3"]


def test_a_slow_subscriber_does_not_hold_up_another(serve, subscribe, trigger, numbered):
    release = threading.Event()
    slow = subscribe(lambda _: (release.wait(15), 200)[1])
    quick = subscribe()
    broker = serve(trigger(slow.url, "slow", concurrency=1), trigger(quick.url, "quick"))
    for event in numbered(50):
        broker.post(event)
    quick.wait(50)
    assert broker.until_settled("quick")["pending"] == 0
    assert broker.trigger("slow")["pending"] == 50
    release.set()
    slow.wait(50)


def test_more_than_a_page_of_events_is_delivered_each_once(serve, subscribe, trigger, numbered):
    subscriber = subscribe()
    broker = serve(trigger(subscriber.url))
    headers, body = to_batch(numbered(400))
    broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    subscriber.wait(400)
    broker.until_settled("t")
    assert sorted(subscriber.ids, key=int) == [str(number) for number in range(400)]


def test_many_retries_at_once_all_arrive(serve, subscribe, trigger, numbered):
    subscriber = subscribe(counting([503, 503, 503]))
    broker = serve(trigger(subscriber.url, backoff=Backoff(delay=0)))
    headers, body = to_batch(numbered(60))
    broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    subscriber.wait(240)
    assert broker.until_settled("t")["dead"] == 0


def test_a_reply_over_the_limit_is_retried(serve, subscribe, trigger, made):
    headers, body = to_binary(made("r", data=b"x" * 5000))
    subscriber = subscribe(counting([(200, headers, body)]))
    broker = serve(trigger(subscriber.url, backoff=QUICK), limits=Limits(event_bytes=1000))
    broker.post(made("1"))
    subscriber.wait(2)
    assert broker.until_settled("t")["dead"] == 0


def test_liveness_says_that_every_thread_works(serve, subscribe, trigger, made):
    subscriber = subscribe()
    broker = serve(trigger(subscriber.url))
    broker.post(made("1"))
    subscriber.wait(1)
    assert broker.send("GET", "/health/liveness").status == 200


def test_a_delivery_is_not_repeated_because_it_could_not_be_written_down(
    serve, subscribe, trigger, made, monkeypatch
):
    monkeypatch.setattr(settling, "_PAUSE", 0.01)
    subscriber = subscribe()
    broker = serve(trigger(subscriber.url))
    connection = broker.broker.journal._writer._connection
    connection.execute(
        "CREATE TEMP TRIGGER full BEFORE DELETE ON deliveries "
        "BEGIN SELECT RAISE(ABORT, 'no space'); END"
    )
    broker.post(made("1"))
    subscriber.wait(1)
    broker.until("t", lambda _: broker.broker.journal.failing)
    connection.execute("DROP TRIGGER full")
    broker.until_settled("t")
    assert subscriber.ids == ["1"]


def test_delivery_goes_on_after_the_journal_could_not_be_read(
    serve, subscribe, trigger, made, monkeypatch
):
    monkeypatch.setattr(worker, "_JOURNAL_PAUSE", 0.01)
    subscriber = subscribe()
    broker = serve(trigger(subscriber.url))
    event_at, errors = reading.event_at, [sqlite3.OperationalError("disk I/O error")] * 3

    def fail_first(*args):
        if errors:
            raise errors.pop()
        return event_at(*args)

    monkeypatch.setattr(reading, "event_at", fail_first)
    broker.post(made("1"))
    subscriber.wait(1)
    assert broker.until_settled("t")["dead"] == 0


def test_stopping_does_not_wait_for_a_retry_of_an_ordered_trigger(
    subscribe, trigger, made, tmp_path
):
    subscriber = subscribe(503)
    triggers = [trigger(subscriber.url, ordered=True, backoff=Backoff(delay=60))]
    limits = Limits(drain_seconds=3600)
    with open_broker(tmp_path / "broker.db", triggers, limits=limits) as broker:
        broker.journal.make(Append((entry(made("1"), triggers),)))
        subscriber.wait(1)
    assert subscriber.ids == ["1"]


# --- bugs


def breaking(function, times):
    """Return *function*, which first fails so many *times*."""
    left = list(range(times))

    def broken(*args, **kwargs):
        if left:
            left.pop()
            raise KeyError("a bug")
        return function(*args, **kwargs)

    return broken


@pytest.fixture
def deliver(serve, subscribe, trigger, made):
    """Deliver one event until it is settled, and return the broker: deliver(answer, ...)."""

    def run(answer=200, **fields):
        broker = serve(trigger(subscribe(answer).url, backoff=QUICK, **fields))
        broker.post(made("1"))
        broker.until_settled("t")
        return broker

    return run


@pytest.mark.parametrize("name", ["judge", "to_binary", "entry"])
def test_a_bug_in_an_attempt_is_a_failure_like_others(deliver, made, monkeypatch, caplog, name):
    monkeypatch.setattr(worker, name, breaking(getattr(worker, name), 2))
    reply = made("reply", type="reply")
    broker = deliver((200, *to_binary(reply)), filter=Exact("type", "test.happened"))
    assert broker.metric('rookery_broker_retried_total{trigger="t"}') == 2
    assert broker.metric('rookery_broker_delivered_total{trigger="t"}') == 1
    assert caplog.text.count("Traceback") == 2


def test_a_bug_that_stays_makes_a_dead_letter_that_says_so(deliver, monkeypatch):
    monkeypatch.setattr(worker, "judge", breaking(worker.judge, 10))
    (letter,) = deliver(retry=1).lines("/deadletters")
    assert letter["reason"].startswith("the broker failed: KeyError; see its log")


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_bug_beside_an_attempt_ends_no_worker(deliver, monkeypatch, concurrency):
    monkeypatch.setattr(worker, "_JOURNAL_PAUSE", 0.01)
    monkeypatch.setattr(worker, "after_failure", breaking(worker.after_failure, 10))
    broker = deliver(counting([503] * 11), concurrency=concurrency)
    assert broker.metric('rookery_broker_delivered_total{trigger="t"}') == 1
    assert broker.send("GET", "/health/liveness").status == 200


def test_an_absurd_retry_after_stops_nobody(deliver):
    absurd = (503, {"Retry-After": "Mon, 1 Jan 99999999999 00:00:00 GMT"}, b"")
    broker = deliver(counting([absurd], then=204))
    assert broker.metric('rookery_broker_delivered_total{trigger="t"}') == 1


def test_where_nobody_wants_replies_the_body_of_a_success_does_not_matter(
    serve, subscribe, trigger, made
):
    target = trigger(subscribe((200, {"Content-Encoding": "gzip"}, b"zz")).url, retry=0)
    broker = serve(replace(target, delivery=replace(target.delivery, replies=False)))
    broker.post(made("1"))
    assert broker.until_settled("t")["dead"] == 0
