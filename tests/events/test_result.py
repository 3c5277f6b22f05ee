import base64
import hashlib
import json
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from rookery.errors import EventInvalid, ImageUndecodable, StorageUnavailable
from rookery.events.identity import object_identity, result_id
from rookery.events.object_created import ObjectCreated
from rookery.events.result import (
    COMPLETED,
    DEADLETTER,
    FAILED,
    MAX_KEPT_BYTES,
    completed,
    deadletter,
    failed,
    schema_of,
)
from rookery.events.wire import CloudEvent, from_http, to_binary, to_document, to_structured
from rookery.images.decode import ImageInfo
from rookery.models.classification import Classification, ClassScore, Timings
from rookery.models.classification import to_document as to_answer

OBJECT = ObjectCreated(
    bucket="images",
    key="dir/grace hopper.jpg",
    event_name="ObjectCreated:Put",
    etag="abc",
    size=61306,
    time="2026-01-01T00:00:00Z",
    request_id="R1",
)
CAUSE = CloudEvent(
    id="cause-1",
    source="ceph:s3..images",
    type="com.amazonaws.ObjectCreated:Put",
    subject="dir/grace hopper.jpg",
    extensions={
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=1",
        "knativebrokerttl": "255",
    },
    datacontenttype="application/json",
    data=b'{"Records":[]}',
)
SCORES = (ClassScore("military uniform", 652, 0.46), ClassScore("suit", 834, 0.1))
ANSWER = Classification(
    model="efficientnet-lite0",
    version=1,
    backend="tensorflow",
    image=ImageInfo("JPEG", 512, 600),
    scores=SCORES,
    timings=Timings(1.5, 30.25, 32.0),
)
BROKEN = ImageUndecodable("the bytes are no image")
SAID = {"source": "/rookery/functions/classify", "time": "2026-01-01T00:00:01Z"}

keys = st.text(min_size=1, max_size=50) | st.sampled_from(["line\nbreak", "../x", "\x00", "\ufffe"])


def completion(answer=ANSWER, cause=CAUSE, obj=OBJECT):
    return completed(answer, cause=cause, obj=obj, **SAID)


def failure(error=BROKEN, cause=CAUSE, obj=OBJECT, status=None):
    return failed(error, cause=cause, obj=obj, status=status, **SAID)


def letter(original=CAUSE, error=BROKEN, status=None):
    return deadletter(error, original, status=status, **SAID)


@pytest.fixture(scope="session")
def schemas(contract):
    documents = [json.loads(path.read_text()) for path in (contract / "schemas").glob("*.json")]
    return {document["$id"]: document for document in documents}


@pytest.fixture(scope="session")
def check(schemas):
    registry = Registry().with_resources(
        (name, Resource.from_contents(document)) for name, document in schemas.items()
    )

    def validate(event):
        schema = schemas[f"{event.dataschema}.event"]
        validator = Draft202012Validator(schema, registry=registry, format_checker=FormatChecker())
        validator.validate(to_document(event))

    return validate


EVERY_KIND = {
    "completed": completion(),
    "completed without a cause": completion(cause=None),
    "completed, versioned": completion(obj=replace(OBJECT, version="v1", etag=None, size=None)),
    "failed": failure(),
    "failed with a status": failure(status=422),
    "dead letter of an event": letter(),
    "dead letter of an event with a status": letter(status=400),
    "dead letter of an event without data": letter(replace(CAUSE, data=b"", subject=None)),
    "dead letter of a large event": letter(replace(CAUSE, data=b'"' + b"x" * 100_000 + b'"')),
    "dead letter of a body": letter(b"\xff\xd8"),
    "dead letter of a large body": letter(b"\xff" * 100_000),
    "dead letter of nothing": letter(b""),
}
every_kind = pytest.mark.parametrize("event", EVERY_KIND.values(), ids=EVERY_KIND)


# --- the contract


def test_the_schemas_are_schemas(schemas):
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("event_type", [COMPLETED, FAILED, DEADLETTER])
def test_every_type_has_a_schema_for_its_data_and_for_all_of_it(schemas, event_type):
    assert {schema_of(event_type), f"{schema_of(event_type)}.event"} <= schemas.keys()


@every_kind
def test_an_event_keeps_to_its_schema(check, event):
    check(event)


@pytest.mark.parametrize(
    "spoilt",
    [
        replace(completion(), data=b"{}"),
        replace(completion(), subject=None),
        replace(completion(), time="yesterday"),
        replace(completion(), type=FAILED),
        replace(failure(), data=b'{"error":{"code":"X"}}'),
        replace(letter(), data=b'{"error":{"code":"Xx","message":""}}'),
    ],
)
def test_the_schemas_notice_what_is_missing(check, spoilt):
    with pytest.raises(jsonschema.ValidationError):
        check(spoilt)


@every_kind
@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_an_event_survives_the_wire(event, write):
    assert from_http(*write(event)) == (event,)


@every_kind
def test_an_event_is_small_enough_for_every_hop(event):
    _, body = to_structured(event)
    assert len(body) < 64 * 1024


@given(keys)
def test_any_key_makes_a_legal_event(key):
    event = completion(obj=replace(OBJECT, key=key))
    assert from_http(*to_binary(event)) == (event,)


# --- completed


def test_a_result_holds_the_answer_and_the_object():
    assert completion().json() == {
        **to_answer(ANSWER),
        "object": {
            "bucket": "images",
            "key": "dir/grace hopper.jpg",
            "version": None,
            "etag": "abc",
            "size": 61306,
        },
    }


def test_a_result_says_what_it_is():
    event = completion()
    assert (event.type, event.source, event.subject, event.time, event.dataschema) == (
        "dev.rookery.inference.completed.v1",
        "/rookery/functions/classify",
        "dir/grace hopper.jpg",
        "2026-01-01T00:00:01Z",
        "urn:rookery:schema:inference.completed.v1",
    )


def test_a_result_has_the_result_id():
    assert completion().id == result_id(object_identity(OBJECT), "efficientnet-lite0", 1)


@pytest.mark.parametrize("event", [completion(), failure(), letter()])
def test_the_trace_is_carried_on_and_the_cause_is_named(event):
    assert event.extensions == {
        "traceparent": CAUSE.extensions["traceparent"],
        "tracestate": "a=1",
        "causationid": "cause-1",
    }


@pytest.mark.parametrize("event", [completion(cause=None), failure(cause=None), letter(b"x")])
def test_without_a_cause_there_are_no_extensions(event):
    assert event.extensions == {}


def test_a_result_with_very_many_classes_lists_the_most_probable():
    scores = tuple(ClassScore(f"class {index} " + "x" * 100, index, 0.001) for index in range(1000))
    predictions = completion(replace(ANSWER, scores=scores)).json()["predictions"]
    assert [found["index"] for found in predictions] == list(range(len(predictions)))


def test_a_result_with_very_many_classes_is_small_enough():
    scores = tuple(ClassScore(f"class {index} " + "x" * 100, index, 0.001) for index in range(1000))
    assert 16 * 1024 < len(completion(replace(ANSWER, scores=scores)).data) < 48 * 1024


# --- ids


@pytest.mark.parametrize("make", [completion, failure])
def test_a_repeat_has_the_same_id(make):
    again = replace(OBJECT, sequencer="0B", event_name="ObjectCreated:Post")
    assert make(obj=again, cause=None).id == make().id


def test_every_kind_of_fact_has_its_own_id():
    facts = [
        completion(),
        completion(replace(ANSWER, version=2)),
        completion(replace(ANSWER, model="other")),
        failure(),
        failure(StorageUnavailable("down")),
        letter(),
        letter(error=EventInvalid("broken")),
        letter(replace(CAUSE, id="cause-2")),
        letter(replace(CAUSE, source="/other")),
        letter(b"x"),
        letter(b"y"),
    ]
    assert len({fact.id for fact in facts}) == len(facts)


def test_the_message_of_an_error_is_no_part_of_an_id():
    assert failure(ImageUndecodable("other words")).id == failure().id


# --- failed


def test_a_failure_names_the_error_and_the_object():
    assert failure(status=422).json() == {
        "error": {
            "code": "ImageUndecodable",
            "message": "the bytes are no image",
            "status": 422,
        },
        "object": completion().json()["object"],
    }


def test_a_long_message_is_cut():
    assert len(failure(ImageUndecodable("x" * 5000)).json()["error"]["message"]) == 1024


# --- dead letter


def test_a_dead_letter_keeps_the_event_as_it_came():
    assert letter().json()["event"] == to_document(CAUSE)


def test_a_dead_letter_of_the_same_event_is_the_same():
    assert letter(replace(CAUSE, data=b"{}", time="2026-01-02T00:00:00Z")).id == letter().id


@pytest.mark.parametrize(
    "other",
    [{"id": "cause-2"}, {"source": "/x"}, {"type": "t"}, {"subject": "b.jpg"}, {"subject": None}],
    ids=lambda other: next(iter(other)),
)
def test_dead_letters_of_two_events_are_two_as_ceph_gives_a_request_one_source_and_id(other):
    assert letter(replace(CAUSE, **other)).id != letter().id


def test_a_dead_letter_can_be_replayed():
    kept = letter().json()["event"]
    headers = {"content-type": "application/cloudevents+json"}
    assert from_http(headers, json.dumps(kept).encode()) == (CAUSE,)


def test_a_dead_letter_keeps_a_body_that_was_no_event():
    assert base64.b64decode(letter(b"\xff\xd8").json()["body_base64"]) == b"\xff\xd8"


@pytest.mark.parametrize(
    ("original", "kept_in"),
    [(b"x" * 100_000, "body_base64"), (replace(CAUSE, data=b"x" * 100_000), "event")],
)
def test_a_dead_letter_cuts_what_is_too_large_and_says_so(original, kept_in):
    data = letter(original).json()
    start = data[kept_in]["data_base64"] if kept_in == "event" else data[kept_in]
    assert (base64.b64decode(start), data["truncated"]) == (
        b"x" * MAX_KEPT_BYTES,
        {"bytes": 100_000, "sha256": hashlib.sha256(b"x" * 100_000).hexdigest()},
    )


def test_a_dead_letter_that_keeps_everything_is_not_truncated():
    assert "truncated" not in letter(b"x" * MAX_KEPT_BYTES).json()
