import base64
import json
import logging

import pytest

from rookery.errors import EventInvalid, UnsupportedMedia
from rookery.events.result import DEADLETTER
from rookery.source.poison import Reader

PLAIN = {"content-type": "application/json"}
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x", "ce-type": "t"}
POISON = [
    (PLAIN, b"<html>", EventInvalid),
    (PLAIN, b"\xff\x00", EventInvalid),
    (PLAIN, b"[" * 1000, EventInvalid),
    (PLAIN, b'{"s3": {"bucket": {"name": "\\ud800"}}}', EventInvalid),
    (EVENT, b'{"no": "notification"}', EventInvalid),
    ({**EVENT, "ce-specversion": "2.0"}, b"{}", EventInvalid),
    ({"content-type": "application/cloudevents+xml"}, b"<e/>", UnsupportedMedia),
]
every_poison = pytest.mark.parametrize(("headers", "body", "error"), POISON)


@pytest.fixture
def counted():
    return []


@pytest.fixture
def reader(counted):
    return Reader("ack-and-deadletter", source="/me", count=counted.append)


@every_poison
def test_can_reject_poison(counted, headers, body, error):
    with pytest.raises(error):
        Reader("reject", source="/me", count=counted.append).read(headers, body)
    assert counted == []


@every_poison
def test_poison_becomes_a_dead_letter_and_is_counted(reader, counted, headers, body, error):
    (letter,) = reader.read(headers, body)
    assert (letter.type, letter.source) == (DEADLETTER, "/me")
    assert letter.json()["error"]["code"] == error.__name__
    assert counted == [error.__name__]


def test_the_letter_keeps_the_body(reader):
    (letter,) = reader.read(PLAIN, b"<html>")
    assert base64.b64decode(letter.json()["body_base64"]) == b"<html>"


def test_the_letter_keeps_an_event_that_can_be_read(reader):
    (letter,) = reader.read(EVENT, b'{"no": "notification"}')
    assert letter.json()["event"]["id"] == "1"
    assert letter.extensions == {"causationid": "1"}


def test_the_same_poison_is_the_same_letter(reader):
    ids = {reader.read(PLAIN, b"<html>")[0].id for _ in range(3)}
    assert len(ids) == 1


def test_a_notification_is_read(reader, counted, notification):
    assert [event.subject for event in reader.read(PLAIN, notification("a.jpg"))] == ["a.jpg"]
    assert counted == []


def test_a_flood_of_poison_is_no_flood_of_log_lines(reader, counted, caplog):
    with caplog.at_level(logging.WARNING):
        for number in range(500):
            reader.read(PLAIN, json.dumps(number).encode())
    assert len(counted) == 500
    assert len(caplog.records) < 5
