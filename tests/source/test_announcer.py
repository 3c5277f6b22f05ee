import json

import pytest

from rookery.delivery.memory import MemorySink
from rookery.errors import DeliveryRejected, SinkUnavailable
from rookery.events.result import DEADLETTER
from rookery.source.announcer import Announcer
from rookery.source.protocol import Message
from rookery.source.tally import Tally


def record(key, time="2026-01-01T00:00:00.000Z"):
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": time,
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": "images", "arn": "arn:aws:s3:::images"},
            "object": {"key": key, "size": 3, "eTag": "900150983cd24fb0d6963f7d28e17f72"},
        },
    }


def message(*records):
    return Message(id="m1", receipt="r1", body=json.dumps({"Records": records}))


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def tally():
    return Tally()


@pytest.fixture
def announcer(sink, tally):
    return Announcer(sink, tally, source="/test")


def test_each_record_becomes_an_event(announcer, sink):
    announcer.announce(message(record("a+b%2Bc.jpg"), record("d.jpg")))

    assert [(e.type, e.source, e.subject) for e in sink.events] == [
        ("com.amazonaws.s3.ObjectCreated:Put", "aws:s3.us-east-1.images", "a b+c.jpg"),
        ("com.amazonaws.s3.ObjectCreated:Put", "aws:s3.us-east-1.images", "d.jpg"),
    ]


def test_a_repeat_keeps_its_event_ids(announcer, sink):
    announcer.announce(message(record("a.jpg"), record("b.jpg")))
    announcer.announce(message(record("a.jpg"), record("b.jpg")))

    ids = [event.id for event in sink.events]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


def test_another_upload_of_the_same_key_has_another_id(announcer, sink):
    announcer.announce(message(record("a.jpg"), record("a.jpg", "2026-01-01T00:00:01.000Z")))

    assert len({event.id for event in sink.events}) == 2


@pytest.mark.parametrize(
    "body",
    [
        '{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "images"}',
        json.dumps({"Records": [record("a") | {"eventName": "ObjectRemoved:Delete"}]}),
    ],
)
def test_what_announces_no_object_is_settled_silently(announcer, sink, body):
    announcer.announce(Message(id="m1", receipt="r1", body=body))

    assert sink.events == ()


@pytest.mark.parametrize("body", ["", "not JSON", "[]", '{"Records": 1}', "\ud800", "{" * 10_000])
def test_a_poison_message_is_sent_on_as_a_dead_letter(announcer, sink, body):
    announcer.announce(Message(id="m1", receipt="r1", body=body))

    assert [(e.type, e.source) for e in sink.events] == [(DEADLETTER, "/test")]


def test_a_refused_event_is_sent_on_as_a_dead_letter(announcer, sink, tally):
    sink.fail(DeliveryRejected("HTTP 400"))

    announcer.announce(message(record("a.jpg"), record("b.jpg")))

    assert [e.type for e in sink.events] == [DEADLETTER, "com.amazonaws.s3.ObjectCreated:Put"]
    assert (tally["delivered"], tally["deadletters"]) == (1, 1)


def test_a_sink_that_is_down_is_the_callers_business(announcer, sink):
    sink.fail(SinkUnavailable("down"))

    with pytest.raises(SinkUnavailable):
        announcer.announce(message(record("a.jpg")))


def test_a_refused_dead_letter_is_the_callers_business(announcer, sink):
    sink.fail(DeliveryRejected("HTTP 400"), DeliveryRejected("HTTP 400"))

    with pytest.raises(DeliveryRejected):
        announcer.announce(message(record("a.jpg")))
