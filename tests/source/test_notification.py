import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import EventInvalid, Rejected, UnsupportedMedia
from rookery.events.object_created import from_event
from rookery.events.wire import from_http, to_batch, to_binary
from rookery.source.notification import MAX_RECORDS, events_of

FOLDER = Path(__file__).parents[2] / "events" / "samples"
SAMPLES = {f"{path.parent.name}/{path.stem}": path for path in sorted(FOLDER.glob("*/*.json"))}
PLAIN = {"content-type": "application/json"}
every_sample = pytest.mark.parametrize("name", SAMPLES)
# One upload, as every way out of one Ceph tells it.
ONE_UPLOAD = [
    "ceph-rgw/cloudevent-binary",
    "ceph-rgw/notification-older",
    "knative-cephsource/cloudevent-binary",
    "knative-cephsource/cloudevent-structured-older-type",
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "s3", "object", "bucket", "name", "key", "eventName"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def message(name):
    sample = json.loads(SAMPLES[name].read_text())
    body = sample["body"]
    body = body if isinstance(body, str) else json.dumps(body)
    return sample.get("headers", PLAIN), body.encode(), sample["objects"]


@every_sample
def test_every_recorded_shape_becomes_one_event_for_each_object(name):
    headers, body, objects = message(name)
    read = [from_event(event) for event in events_of(headers, body)]
    assert [[obj.key for obj in each] for each in read] == [[each["key"]] for each in objects]
    for (obj,), wanted in zip(read, objects, strict=True):
        assert {name: getattr(obj, name) for name in wanted} == wanted


@pytest.mark.parametrize("name", ONE_UPLOAD)
def test_one_upload_is_the_same_event_in_every_shape_that_ceph_sends(name):
    (event,) = events_of(*message(name)[:2])
    (first,) = events_of(*message("ceph-rgw/notification-16")[:2])
    assert identity(event) == identity(first)


def identity(event):
    """What the journal takes for the same event."""
    return event.source, event.id, event.type, event.subject


def test_two_notifications_about_one_upload_are_one_event(notification):
    # Ceph gives each its own sequencer, event id and configuration.
    first = json.loads(notification())
    second = json.loads(notification(eventId="another"))
    second["Records"][0]["s3"] |= {"configurationId": "n2"}
    second["Records"][0]["s3"]["object"] |= {"sequencer": "00"}
    events = [events_of(PLAIN, json.dumps(each).encode())[0] for each in (first, second)]
    assert identity(events[0]) == identity(events[1])
    assert events[0].data != events[1].data


@pytest.mark.parametrize(
    "changed", [{"request": "R2"}, {"key": "other.jpg"}, {"eventName": "ObjectCreated:Copy"}]
)
def test_another_upload_is_another_event(notification, changed):
    (first,) = events_of(PLAIN, notification())
    (second,) = events_of(PLAIN, notification(**changed))
    assert identity(first) != identity(second)


def test_what_only_the_event_says_is_in_the_record():
    (event,) = events_of(*message("cloudevents-adapter/structured-s3-element-only")[:2])
    (record,) = json.loads(event.data)["Records"]
    assert (record["eventName"], record["eventSource"], record["eventTime"]) == (
        "ObjectCreated:Put",
        "aws:s3",
        "1970-01-01T00:00:00.000Z",
    )


def test_a_raw_key_stays_raw_where_only_the_event_says_who_sent_it():
    headers, body, objects = message("ceph-rgw/cloudevent-binary")
    bare = {"s3": json.loads(body)["Records"][0]["s3"]}
    (event,) = events_of(headers, json.dumps(bare).encode())
    assert from_event(event)[0].key == objects[0]["key"]


def test_extensions_stay(notification):
    (event,) = events_of(PLAIN, notification())
    traced = replace(event, extensions={"traceparent": "00-a-b-01"})
    assert events_of(*to_binary(traced)) == (traced,)


def test_an_event_read_again_is_the_same_event(notification):
    (event,) = events_of(PLAIN, notification())
    assert events_of(*to_binary(event)) == (event,)


def test_a_batch_becomes_its_events(notification):
    made = [events_of(PLAIN, notification(key=f"{n}.jpg"))[0] for n in range(3)]
    assert events_of(*to_batch(made)) == tuple(made)


def test_a_removal_is_no_event(notification):
    assert events_of(PLAIN, notification(eventName="ObjectRemoved:Delete")) == ()


@pytest.mark.parametrize(
    ("headers", "body", "error"),
    [
        (PLAIN, b"", EventInvalid),
        (PLAIN, b"<html>502 Bad Gateway</html>", EventInvalid),
        (PLAIN, b"\xff\xfe\x00", EventInvalid),
        (PLAIN, b"{}", EventInvalid),
        (PLAIN, b"[" * 10_000, EventInvalid),
        (PLAIN, b'{"Records": [{"s3": {"bucket": {"name": "\\ud800"}}}]}', EventInvalid),
        (PLAIN, b'{"Type": "SubscriptionConfirmation", "Message": "x"}', EventInvalid),
        ({"ce-id": "1", "ce-source": "/x"}, b"{}", EventInvalid),
        ({"content-type": "application/cloudevents+avro"}, b"{}", UnsupportedMedia),
    ],
)
def test_refuses_what_is_no_notification(headers, body, error):
    with pytest.raises(error):
        events_of(headers, body)


def test_refuses_more_records_than_anybody_sends(notification):
    record = json.loads(notification())["Records"][0]
    with pytest.raises(EventInvalid, match="10,000"):
        events_of(PLAIN, json.dumps({"Records": [record] * (MAX_RECORDS + 1)}).encode())


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_rejected_and_nothing_worse(body):
    for headers in (
        PLAIN,
        {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"},
    ):
        try:
            events = events_of(headers, body)
        except Rejected:
            continue
        assert all(from_http(*to_binary(event)) == (event,) for event in events)
