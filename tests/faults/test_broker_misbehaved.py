"""Subscribers that fail in every way the wire allows: nobody else waits, and nothing is lost."""

import base64

import pytest

from broker_processes import made, trigger
from misbehaving import answers, hangs, resets, trickles

EVENTS = 5
QUICK = {"retry": 2, "backoffPolicy": "linear", "backoffDelay": "PT0.05S", "timeout": "PT20S"}
# They take all the time they are given; the others answer at once, and need time only under load.
SLOW = {name: {**QUICK, "timeout": "PT0.5S"} for name in ("hang", "trickle")}
HTML = b"<html>It works!</html>"
CUT = "the connection was closed in the middle of the answer, after 2 bytes of its body"

# name: what the subscriber does, the code of the dead letter, and its reason.
MISBEHAVIORS = {
    "error": (
        answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops"),
        500,
        "answered 500: oops",
    ),
    "hang": (hangs, 500, "no answer within 0.5 s"),
    "silent": (answers(b""), 500, "the connection was closed without an answer"),
    "headers-cut": (
        answers(b"HTTP/1.1 200 OK\r\nContent-Le"),
        500,
        "the connection was closed in the middle of the answer, in its headers",
    ),
    "body-cut": (
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
        500,
        CUT,
    ),
    "chunk-cut": (
        answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        500,
        CUT,
    ),
    "html": (
        answers(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(HTML)
            + HTML
        ),
        502,
        "answered 200 with a body that is no CloudEvent; a reply is a CloudEvent or empty",
    ),
    "half-event": (
        answers(b"HTTP/1.1 200 OK\r\nce-specversion: 1.0\r\nContent-Length: 0\r\n\r\n"),
        502,
        "answered 200 with a broken reply: not a CloudEvent 1.0: ",
    ),
    "reset": (resets, 500, "ConnectionResetError: [Errno 104] Connection reset by peer"),
    "trickle": (trickles, 500, "the answer did not end in time"),
    "no-http": (answers(b"220 mail.example ESMTP\r\n"), 500, "the answer is not HTTP: "),
}

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def all_at_once(broker, subscribe, misbehave):
    """One broker, with a trigger for every way to misbehave, and one for a good subscriber."""
    good = subscribe()
    raw = {name: misbehave(behavior) for name, (behavior, _, _) in MISBEHAVIORS.items()}
    running = broker(
        trigger("good", good.url),
        *(trigger(name, each.url, **SLOW.get(name, QUICK)) for name, each in raw.items()),
    )
    running.start()
    return running, good, raw


def test_nobody_else_waits_and_every_event_ends_as_dead_letter_that_says_why(all_at_once):
    broker, good, raw = all_at_once
    ids = [str(number) for number in range(EVENTS)]
    assert broker.post(*(made(id_) for id_ in ids)) == 202
    broker.until_settled("good", seconds=10)
    assert sorted(good.ids) == ids
    broker.until_settled()
    letters = broker.lines("/deadletters")
    for name, (_, code, reason) in MISBEHAVIORS.items():
        of_this = [letter for letter in letters if letter["trigger"] == name]
        assert sorted(letter["event"]["id"] for letter in of_this) == ids, name
        assert {letter["code"] for letter in of_this} == {code}, name
        for letter in of_this:
            assert letter["reason"].startswith(reason), name
            assert letter["reason"].endswith(" (3 attempts)"), name
        assert raw[name].requests == 3 * EVENTS, name
    assert broker.status("/health/liveness") == 200


def test_what_a_subscriber_failed_to_take_at_first_it_gets(broker, misbehave):
    raw = {name: misbehave(behavior, 2) for name, (behavior, _, _) in MISBEHAVIORS.items()}
    running = broker(
        *(trigger(name, each.url, **SLOW.get(name, QUICK)) for name, each in raw.items())
    )
    running.start()
    assert running.post(made("1")) == 202
    running.until_settled()
    assert {name: each.requests for name, each in raw.items()} == dict.fromkeys(raw, 3)
    assert {name: each["dead"] for name, each in running.triggers().items()} == dict.fromkeys(
        raw, 0
    )
    for name in raw:
        assert running.metric(f'rookery_broker_delivered_total{{trigger="{name}"}}') == 1


def test_the_dead_letter_sink_learns_what_happened(broker, subscribe, misbehave):
    sink = subscribe()
    behavior, code, reason = MISBEHAVIORS["body-cut"]
    running = broker(
        trigger("t", misbehave(behavior).url, deadLetterSink={"uri": sink.url}, **QUICK)
    )
    running.start()
    running.post(made("1"))
    (letter,) = sink.wait(1)
    assert letter.id == "1"
    assert letter.extensions["knativeerrorcode"] == str(code)
    told = base64.b64decode(letter.extensions["knativeerrordata"]).decode()
    assert reason.startswith(told)
    running.until_settled()
    assert running.triggers()["t"]["dead"] == 0


def test_a_connection_closed_while_idle_costs_no_attempt(broker, misbehave):
    """A 204 that is followed by a close, as a subscriber does that restarts."""
    subscriber = misbehave(answers(b"HTTP/1.1 204 No Content\r\n\r\n"))
    running = broker(trigger("t", subscriber.url, **{**QUICK, "retry": 0}))
    running.start()
    for number in range(EVENTS):
        assert running.post(made(str(number))) == 202
        running.until_settled()
    assert running.triggers()["t"]["dead"] == 0
    assert running.metric('rookery_broker_delivered_total{trigger="t"}') == EVENTS
