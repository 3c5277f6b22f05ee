import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.events.announcement import announce, record_of, to_event
from rookery.events.object_created import ObjectCreated, from_document, from_event
from rookery.events.wire import from_http, to_binary, to_structured

text = st.text(min_size=1, max_size=30)
plain = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=3, max_size=20)
objects = st.builds(
    ObjectCreated,
    bucket=plain,
    key=text | st.sampled_from(["../up", "a b+c%20d", "%ff", "é/ü.jpg", "line\nbreak", "\x7f"]),
    event_name=st.sampled_from(["ObjectCreated:Put", "ObjectCreated:Copy", "ObjectCreated"]),
    version=st.none() | plain.filter(lambda version: version != "null"),
    etag=st.none() | plain,
    size=st.none() | st.integers(0, 2**50),
    sequencer=st.none() | plain,
    time=st.sampled_from(["2026-01-01T00:00:00Z", "2026-11-21T03:40:02.612224Z"]),
    request_id=st.none() | text,
)
producers = st.sampled_from(["aws:s3", "ceph:s3", "minio:s3"])

PHOTO = ObjectCreated(
    bucket="images",
    key="dir/grace hopper.jpg",
    event_name="ObjectCreated:Put",
    etag="abc",
    size=10,
    time="2026-01-01T00:00:00Z",
    request_id="R1",
)


@given(objects, producers)
def test_an_announced_object_is_read_back(obj, producer):
    assert from_event(to_event(obj, record_of(obj, producer=producer))) == (obj,)


@given(objects, producers)
def test_a_written_record_is_read_back(obj, producer):
    assert from_document(record_of(obj, producer=producer)) == (obj,)


@given(objects, producers, st.sampled_from([to_binary, to_structured]))
def test_an_announcement_survives_the_wire(obj, producer, write):
    event = to_event(obj, record_of(obj, producer=producer))
    assert from_http(*write(event)) == (event,)


def test_the_attributes_are_those_of_the_s3_adapter():
    event = to_event(PHOTO, record_of(PHOTO, region="eu-west-1"))
    assert (event.source, event.type, event.subject, event.time, event.datacontenttype) == (
        "aws:s3.eu-west-1.images",
        "com.amazonaws.s3.ObjectCreated:Put",
        "dir/grace hopper.jpg",
        "2026-01-01T00:00:00Z",
        "application/json",
    )


def test_a_region_may_be_empty():
    event = to_event(PHOTO, record_of(PHOTO, producer="ceph:s3"))
    assert event.source == "ceph:s3..images"


def test_the_record_is_passed_on_as_it_came():
    record = record_of(PHOTO) | {"userIdentity": {"principalId": "someone"}}
    (event,) = announce({"Records": [record]})
    assert json.loads(event.data) == {"Records": [record]}


def test_every_object_is_announced_by_itself():
    other = record_of(PHOTO) | {"s3": {"bucket": {"name": "images"}, "object": {"key": "b.jpg"}}}
    events = announce({"Records": [record_of(PHOTO), other]})
    assert [event.subject for event in events] == ["dir/grace hopper.jpg", "b.jpg"]


def test_siblings_of_one_request_have_different_ids():
    other = record_of(PHOTO) | {"s3": {"bucket": {"name": "images"}, "object": {"key": "b.jpg"}}}
    events = announce({"Records": [record_of(PHOTO), other]})
    assert len({event.id for event in events}) == 2


@pytest.mark.parametrize("document", [{"Event": "s3:TestEvent"}, {"Records": []}])
def test_nothing_announced_is_no_event(document):
    assert announce(document) == ()


def test_an_eventbridge_event_becomes_an_s3_record():
    bridge = {
        "detail-type": "Object Created",
        "region": "eu-west-1",
        "time": "2026-01-01T00:00:00Z",
        "detail": {
            "bucket": {"name": "images"},
            "object": {"key": "dir/grace hopper.jpg", "size": 10, "etag": "abc"},
            "request-id": "R1",
            "reason": "PutObject",
        },
    }
    assert announce(bridge) == (to_event(PHOTO, record_of(PHOTO, region="eu-west-1")),)
