import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import EventInvalid, ObjectGone
from rookery.events.kept import read_deadletter
from rookery.events.result import DEADLETTER, MAX_KEPT_BYTES, deadletter
from rookery.events.wire import CloudEvent

NOW = "2026-01-31T12:00:00Z"


def event(**fields):
    return CloudEvent(
        **{
            "id": "7",
            "source": "aws:s3..images",
            "type": "com.amazonaws.s3.ObjectCreated:Put",
            "subject": "a b+é.jpg",
            "datacontenttype": "application/json",
            "data": b'{"Records":[]}',
            **fields,
        }
    )


def letter(original, error=None, status=400):
    error = error or EventInvalid("record 0: no key")
    return deadletter(error, original, source="/f", time=NOW, status=status)


@pytest.mark.parametrize(
    "original",
    [
        event(),
        event(data=b""),
        event(datacontenttype="text/plain", data="é".encode()),
        event(datacontenttype="image/jpeg", data=b"\xff\xd8"),
        event(extensions={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71-01"}),
        event(data=b'"' + b"x" * (MAX_KEPT_BYTES - 2) + b'"'),
    ],
)
def test_the_event_comes_back_as_it_was(original):
    kept = read_deadletter(letter(original))
    assert kept.original == original
    assert kept.problem is None


def test_the_reason_and_the_status_are_read():
    kept = read_deadletter(letter(event(), ObjectGone("a.jpg is gone"), 410))
    assert (kept.reason, kept.status) == ("ObjectGone: a.jpg is gone", 410)


def test_a_status_that_nobody_was_answered_with_is_0():
    assert read_deadletter(letter(event(), status=None)).status == 0


def test_an_event_that_was_cut_is_shown_and_cannot_be_sent_again():
    kept = read_deadletter(letter(event(data=b'"' + b"x" * MAX_KEPT_BYTES + b'"')))
    assert (kept.original.id, len(kept.original.data)) == ("7", MAX_KEPT_BYTES)
    assert "cut" in kept.problem


def test_a_body_that_was_no_event_cannot_be_sent_again():
    kept = read_deadletter(letter(b"\x00not json"))
    assert kept.original is None
    assert "no event" in kept.problem


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"error":"x"}',
        b'{"error":{"status":"x"},"event":7}',
        b'{"event":{"specversion":"1.0"}}',
        b'{"event":{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"?"}}',
    ],
)
def test_what_a_stranger_wrote_cannot_be_sent_again_and_does_no_harm(data):
    kept = read_deadletter(CloudEvent(id="1", source="s", type=DEADLETTER, data=data))
    assert (kept.original, kept.status) == (None, 0)
    assert kept.problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_any_json_can_be_read(error, kept, truncated):
    data = json.dumps({"error": error, "event": kept, "truncated": truncated}).encode()
    found = read_deadletter(CloudEvent(id="1", source="s", type=DEADLETTER, data=data))
    assert isinstance(found.reason, str)
