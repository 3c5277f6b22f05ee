import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import EventInvalid
from rookery.events.announcement import announce
from rookery.events.object_created import ObjectCreated, from_document, from_event, records
from rookery.events.wire import CloudEvent, from_http

# Adding a producer is adding a file: every sample is a case of this table.
SAMPLES = sorted((Path(__file__).parents[2] / "events" / "samples").glob("*/*.json"))
every_sample = pytest.mark.parametrize(
    "sample",
    [json.loads(path.read_text()) for path in SAMPLES],
    ids=[f"{path.parent.name}/{path.stem}" for path in SAMPLES],
)
bare_samples = pytest.mark.parametrize(
    ("body", "objects"),
    [
        pytest.param(sample["body"], sample["objects"], id=f"{path.parent.name}/{path.stem}")
        for path in SAMPLES
        if "headers" not in (sample := json.loads(path.read_text()))
    ],
)

RECORD = {
    "eventSource": "aws:s3",
    "eventTime": "2026-01-01T00:00:00Z",
    "eventName": "ObjectCreated:Put",
    "s3": {"bucket": {"name": "b"}, "object": {"key": "k", "eTag": "e", "size": 1}},
}
MINIMAL = {
    "eventName": "ObjectCreated:Put",
    "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}},
}
EVENT = CloudEvent(id="1", source="/s", type="t", datacontenttype="application/json")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def record(*path, value=None, drop=False):
    """RECORD with one field changed or dropped."""
    changed = json.loads(json.dumps(RECORD))
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


def of_key(value):
    return record("s3", "object", "key", value=value)


def of_size(value):
    return record("s3", "object", "size", value=value)


def described(**fields):
    return {**RECORD, "s3": {"bucket": {"name": "b"}, "object": {"key": "k", **fields}}}


def carrying(document, **attributes):
    return replace(EVENT, data=json.dumps(document).encode(), **attributes)


def only(document):
    (obj,) = from_document(document)
    return obj


# --- the samples


@every_sample
def test_a_sample_is_read_as_it_says(sample):
    if "headers" in sample:
        (event,) = from_http(sample["headers"], json.dumps(sample["body"]).encode())
        found = from_event(event)
    else:
        found = from_document(sample["body"])
    assert found == tuple(ObjectCreated(**fields) for fields in sample["objects"])


@every_sample
def test_a_sample_says_where_it_is_from(sample):
    kind = sample["origin"].partition(":")[0]
    assert kind in {"recorded", "from documentation", "from source"}


@bare_samples
def test_a_bare_notification_reads_alike_as_the_data_of_an_event(body, objects):
    found = from_event(carrying(body))
    assert found == tuple(ObjectCreated(**fields) for fields in objects)


@bare_samples
def test_an_announcement_says_what_its_notification_said(body, objects):
    found = tuple(obj for event in announce(body) for obj in from_event(event))
    assert found == tuple(ObjectCreated(**fields) for fields in objects)


# --- keys


@pytest.mark.parametrize(
    ("producer", "sent", "key"),
    [
        ("aws:s3", "a+b%2Bc%2520d/%C3%A9", "a b+c%20d/é"),
        ("aws:s3", "..%2F..%2Fetc%2Fpasswd", "../../etc/passwd"),
        ("aws:s3", "100%25", "100%"),
        ("aws:s3", "100%", "100%"),
        ("minio:s3", "a%2Fb+c", "a/b c"),
        ("rustfs:s3", "a%2Fb+c", "a/b c"),
        (None, "a+b", "a b"),
        ("ceph:s3", "a+b%2Bc d", "a+b%2Bc d"),
        ("ceph:s3", "%ff", "%ff"),
    ],
)
def test_a_key_is_decoded_where_its_producer_encodes_it(producer, sent, key):
    changed = described(key=sent, eTag="e") | {"eventSource": producer}
    assert only(changed).key == key


def test_the_event_source_decides_where_the_record_names_no_producer():
    document = record("eventSource", drop=True)
    document["s3"]["object"]["key"] = "a+b"
    (obj,) = from_event(carrying(document, source="ceph:s3.zone.b"))
    assert obj.key == "a+b"


# --- fields


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"eTag": '"abc"'}, "etag", "abc"),
        ({"etag": "abc"}, "etag", "abc"),
        ({"eTag": ""}, "etag", None),
        ({"size": "12"}, "size", 12),
        ({"size": 0}, "size", 0),
        ({"size": 5 * 2**40}, "size", 5 * 2**40),
        ({"size": None}, "size", None),
        ({"size": ""}, "size", None),
        ({"versionId": "v1"}, "version", "v1"),
        ({"versionId": ""}, "version", None),
        ({"versionId": "null"}, "version", None),
        ({"versionId": "1"}, "version", None),
        ({"versionId": None}, "version", None),
        ({"sequencer": "0A"}, "sequencer", "0A"),
    ],
)
def test_a_field_is_read(fields, name, value):
    assert getattr(only(described(**fields)), name) == value


@pytest.mark.parametrize("sent", ["ObjectCreated:Copy", "s3:ObjectCreated:Copy"])
def test_the_prefix_of_an_event_name_is_dropped(sent):
    assert only(RECORD | {"eventName": sent}).event_name == "ObjectCreated:Copy"


@pytest.mark.parametrize(
    "event_type",
    [
        "com.amazonaws.s3.ObjectCreated:Copy",
        "com.amazonaws.s3:ObjectCreated:Copy",
        "com.amazonaws.ObjectCreated:Copy",
    ],
)
def test_the_event_type_names_what_the_record_does_not(event_type):
    bare = {"s3": RECORD["s3"]}
    (obj,) = from_event(carrying(bare, type=event_type, time="2026-01-01T00:00:00Z"))
    assert (obj.event_name, obj.time) == ("ObjectCreated:Copy", "2026-01-01T00:00:00Z")


def test_what_a_record_says_goes_before_what_its_event_says():
    (obj,) = from_event(carrying(RECORD, type="com.amazonaws.s3.ObjectCreated:Copy", time="x"))
    assert (obj.event_name, obj.time) == ("ObjectCreated:Put", "2026-01-01T00:00:00Z")


def test_the_event_id_stands_in_for_everything_that_identifies():
    (obj,) = from_event(carrying(MINIMAL, id="event-7"))
    assert obj.request_id == "event-7"


def test_a_bare_record_that_identifies_nothing_is_refused():
    with pytest.raises(EventInvalid, match="record 0 says nothing that tells this version"):
        from_document(MINIMAL)


# --- several records


def test_every_record_is_read():
    many = {"Records": [described(key=f"k{index}", eTag="e") for index in range(1000)]}
    assert [obj.key for obj in from_document(many)] == [f"k{index}" for index in range(1000)]


@pytest.mark.parametrize(
    "name", ["ObjectRemoved:Delete", "s3:TestEvent", "ObjectRestore:Post", "ObjectCreatedly"]
)
def test_records_that_create_nothing_are_left_out(name):
    assert from_document({"Records": [{"eventName": name, "s3": None}, RECORD]}) == (only(RECORD),)


def test_no_records_announce_nothing():
    assert from_document({"Records": []}) == ()


def test_records_over_the_limit_are_refused():
    with pytest.raises(EventInvalid, match=r"more than 2 records.*ROOKERY_MAX_RECORDS"):
        from_document({"Records": [RECORD] * 3}, max_records=2)


def test_records_in_several_envelopes_count_together():
    body = json.dumps({"Records": [RECORD] * 2})
    lambda_event = {"Records": [{"body": body}, {"body": body}]}
    with pytest.raises(EventInvalid, match="more than 3 records"):
        from_event(carrying(lambda_event), max_records=3)


def test_as_many_records_as_the_limit_are_read():
    assert len(from_document({"Records": [RECORD] * 3}, max_records=3)) == 3


def test_records_come_out_of_every_envelope():
    notification = json.dumps({"Records": [RECORD]})
    envelope = json.dumps({"Type": "Notification", "Message": notification})
    assert records({"Records": [{"body": envelope}]}) == (RECORD,)


# --- malformed


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (of_key(5), "s3.object.key must be a string, not a number"),
        (record("s3", "object", "key", drop=True), "s3.object.key is missing"),
        (of_key(""), "s3.object.key is empty"),
        (of_key("\ud800"), "s3.object.key holds a lone surrogate"),
        (of_key("%ff"), "s3.object.key is not URL-encoded UTF-8"),
        (of_key({}), "s3.object.key must be a string, not an object"),
        (record("s3", "bucket", "name", value=None), "s3.bucket.name is missing"),
        (record("s3", "bucket", value="b"), "s3.bucket must be an object, not a string"),
        (record("s3", "object", value=[]), "s3.object must be an object, not an array"),
        (record("s3", value=None), "s3.object.key is missing"),
        (of_size(-1), "s3.object.size must be a number of bytes"),
        (record("s3", "object", "size", value=True), "s3.object.size must be a number of"),
        (of_size("1e3"), "s3.object.size must be a number of"),
        (of_size("9" * 5000), "s3.object.size must be a num"),
        (of_size(1.5), "s3.object.size must be a number of"),
        (record("s3", "object", "eTag", value=[1]), "s3.object.eTag must be a string"),
        (record("s3", "object", "versionId", value=1), "s3.object.versionId must be a st"),
        (record("eventTime", value="yesterday"), "eventTime must be an RFC 3339 timest"),
        (record("eventTime", value=5), "eventTime must be a string, not a number"),
        (record("eventName", drop=True), "eventName is missing"),
        (record("eventName", value=7), "eventName must be a string"),
        (record("eventSource", value=7), "eventSource must be a string"),
        (RECORD | {"responseElements": "x"}, "responseElements must be an object"),
        (None, "must be an object, not null"),
        (7, "must be an object, not a number"),
        ({"a": 1}, "is no object-created notification.*and has a"),
        ("{", "is not JSON"),
        ({"body": "hello"}, "is not JSON"),
        ({"body": 5}, "must be an object, not a number"),
    ],
)  # fmt: skip
def test_a_malformed_record_is_named(document, problem):
    with pytest.raises(EventInvalid, match=f"^record 1:? {problem}"):
        from_document({"Records": [RECORD, document]})


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"Records": {}}, "Records must be an array, not an object"),
        ({"Records": None}, "Records must be an array, not null"),
        ({}, "is no object-created notification.*has nothing"),
        ([], "must be an object, not an array"),
        ({"Type": "SubscriptionConfirmation", "Message": "x"}, "SNS subscription request"),
        ({"detail-type": "Object Created", "detail": 5}, "record 0: detail must be an object"),
        ({"detail-type": "Object Created", "detail": {}}, "record 0: detail.*is missing"),
        ({"body": {"body": {"body": {"body": {"body": RECORD}}}}}, "more than 4 envelopes"),
        ({"Message": "[" * 200 + "]" * 200}, "record 0 nests deeper than 100 levels"),
    ],
)  # fmt: skip
def test_a_malformed_notification_is_refused(document, problem):
    with pytest.raises(EventInvalid, match=problem):
        from_document(document)


def test_an_event_without_data_is_refused():
    with pytest.raises(EventInvalid, match="event '1' has no data"):
        from_event(EVENT)


def test_an_event_whose_data_is_no_json_is_refused():
    with pytest.raises(EventInvalid, match="the data of event '1' is not JSON"):
        from_event(replace(EVENT, data=b"\xff\xd8"))


@given(json_values)
def test_any_json_is_read_or_refused(document):
    try:
        found = from_document(document)
    except EventInvalid:
        return
    assert found == ()


@given(
    st.sampled_from(
        [
            ("eventName",), ("eventTime",), ("eventSource",), ("s3",), ("s3", "bucket"),
            ("s3", "bucket", "name"), ("s3", "object"), ("s3", "object", "key"),
            ("s3", "object", "size"), ("s3", "object", "eTag"), ("s3", "object", "versionId"),
        ]
    ),
    json_values,
)  # fmt: skip
def test_any_value_in_a_record_is_read_or_refused(path, value):
    try:
        found = from_document(record(*path, value=value))
    except EventInvalid:
        return
    assert len(found) <= 1
