import json
import threading
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from rookery.errors import (
    BackendFailed,
    DeliveryRejected,
    ObjectTooLarge,
    SinkUnavailable,
    StorageDenied,
    StorageUnavailable,
)
from rookery.events.result import COMPLETED, DEADLETTER, FAILED
from rookery.events.wire import (
    BATCH,
    STRUCTURED,
    CloudEvent,
    from_http,
    to_batch,
    to_binary,
    to_structured,
)

SAMPLES = sorted((Path(__file__).parents[2] / "events" / "samples").glob("*/*.json"))
every_sample = pytest.mark.parametrize(
    "sample",
    [json.loads(path.read_text(encoding="utf-8")) for path in SAMPLES],
    ids=[f"{path.parent.name}/{path.stem}" for path in SAMPLES],
)
MODES = {"binary": to_binary, "structured": to_structured, "batch": lambda e: to_batch([e])}
every_mode = pytest.mark.parametrize("encode", MODES.values(), ids=MODES)


def record(key="a.jpg", *, bucket="images", name="ObjectCreated:Put", etag="1", **fields):
    return {
        "eventSource": "aws:s3",
        "eventName": name,
        "eventTime": "2026-01-01T00:00:00Z",
        "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "eTag": etag}},
        **fields,
    }


def event(*records, **attributes):
    fields = {
        "id": "1",
        "source": "aws:s3.us-east-1.images",
        "type": "com.amazonaws.s3.ObjectCreated:Put",
        "datacontenttype": "application/json",
        "data": json.dumps({"Records": list(records or [record()])}).encode(),
    }
    return CloudEvent(**{**fields, **attributes})


def post(function, message, **headers):
    """POST one message of a mode, with further headers (their `_` is a `-`)."""
    fields, body = message
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return function.client.post("/", data=body, headers={**fields, **sent})


def post_event(function, *records, **headers):
    return post(function, to_binary(event(*records)), **headers)


def reply(response):
    """The only event that an answer carries."""
    (answered,) = from_http(dict(response.headers.items()), response.data)
    return answered


def outcome(response):
    return response.status_code, response.json["error"]


@pytest.fixture
def stocked(make_function, jpeg):
    """A maker of functions whose store holds `a.jpg`."""

    def make(**options):
        function = make_function(**options)
        function.store.objects["images", "a.jpg"] = jpeg
        return function

    return make


# --- where the result goes -----------------------------------------------------------------


@every_mode
def test_a_broker_that_takes_a_reply_gets_the_result_as_the_reply(stocked, encode):
    function = stocked()
    response = post(function, encode(event()), Prefer="reply")
    assert response.status_code == 200
    assert reply(response).type == COMPLETED
    assert function.sink.events == ()


@every_mode
def test_without_a_wish_for_a_reply_the_result_goes_to_the_sink(stocked, encode):
    function = stocked()
    response = post(function, encode(event()))
    assert (response.status_code, response.data) == (202, b"")
    assert [sent.type for sent in function.sink.events] == [COMPLETED]


def test_without_a_sink_the_result_is_the_answer_and_plain_json_to_who_reads_json(stocked):
    response = post_event(stocked(with_sink=False))
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.json["top_prediction"] == [["king penguin, Aptenodytes patagonica"]]
    assert response.json["object"]["key"] == "a.jpg"


@pytest.mark.parametrize("value", ["reply", "Reply", "respond-async, reply", "reply; wait=5"])
def test_the_wish_for_a_reply_is_read_as_http_writes_it(stocked, value):
    assert post_event(stocked(), Prefer=value).status_code == 200


@pytest.mark.parametrize("value", ["", "noreply", "respond-async", "wait=reply"])
def test_another_preference_is_no_wish_for_a_reply(stocked, value):
    assert post_event(stocked(), Prefer=value).status_code == 202


def test_the_result_continues_the_trace_and_names_its_cause(stocked):
    function = stocked()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    post(function, to_binary(event(id="cause", extensions={"traceparent": trace})))
    (result,) = function.sink.events
    assert result.extensions == {"traceparent": trace, "causationid": "cause"}
    assert result.source == "/rookery/functions/classify"
    assert result.subject == "a.jpg"


def test_several_records_without_a_sink_are_answered_with_a_batch(stocked, jpeg):
    function = stocked(with_sink=False)
    function.store.objects["images", "b.jpg"] = jpeg
    response = post_event(function, record("a.jpg"), record("b.jpg"), Prefer="reply")
    assert response.status_code == 200
    assert response.content_type == BATCH
    results = from_http({"Content-Type": BATCH}, response.data)
    assert [(result.type, result.subject) for result in results] == [
        (COMPLETED, "a.jpg"),
        (COMPLETED, "b.jpg"),
    ]


def test_several_records_go_to_the_sink_even_where_a_reply_is_taken(stocked, jpeg):
    function = stocked()
    function.store.objects["images", "b.jpg"] = jpeg
    response = post_event(function, record("a.jpg"), record("b.jpg"), Prefer="reply")
    assert response.status_code == 202
    assert [result.subject for result in function.sink.events] == ["a.jpg", "b.jpg"]


def test_a_knative_broker_takes_no_batch_and_is_told_before_any_work(stocked):
    function = stocked(with_sink=False)
    response = post_event(
        function, record("a.jpg"), record("b.jpg"), Prefer="reply", Kn_Namespace="default"
    )
    assert outcome(response) == (400, "EventInvalid")
    assert "K_SINK" in response.json["message"]
    assert function.store.reads == []


def test_one_record_from_a_knative_broker_needs_no_sink(stocked):
    response = post_event(stocked(with_sink=False), Prefer="reply", Kn_Namespace="default")
    assert response.status_code == 200


# --- what announces an object --------------------------------------------------------------


@every_sample
def test_every_recorded_shape_is_served_from_the_store(make_function, jpeg, sample):
    objects = sample["objects"]
    function = make_function(buckets=tuple({obj["bucket"] for obj in objects}) or ("images",))
    for obj in objects:
        function.store.objects[obj["bucket"], obj["key"]] = jpeg
    headers = {"Content-Type": "application/json", **sample.get("headers", {})}
    response = function.client.post("/", data=json.dumps(sample["body"]), headers=headers)
    assert response.status_code == 202, response.text
    assert function.store.reads == [
        (obj["bucket"], obj["key"], obj.get("version")) for obj in objects
    ]
    assert [result.json()["object"]["key"] for result in function.sink.events] == [
        obj["key"] for obj in objects
    ]


def test_a_bare_notification_has_no_cause(stocked):
    function = stocked()
    response = function.client.post("/", json={"Records": [record()]})
    assert response.status_code == 202
    assert "causationid" not in function.sink.events[0].extensions


@pytest.mark.parametrize(
    "key",
    [
        "with space.jpg",
        "a+b.jpg",
        "100%.jpg",
        "%41.jpg",
        "für ☂🐧.jpg",
        "../../etc/passwd",
        "/absolute.jpg",
        "a//b.jpg",
        "a\nb.jpg",
        "?x=1&y=2#z",
        "." * 1024,
    ],
)
def test_any_key_is_the_name_of_an_object_and_nothing_else(make_function, jpeg, key):
    function = make_function()
    function.store.objects["images", key] = jpeg
    response = post_event(function, record(key), Prefer="reply")
    assert response.status_code == 200
    assert response.json["object"]["key"] == key
    assert function.store.reads == [("images", key, None)]


@pytest.mark.parametrize("key", ["k" * 1025, "a\0b.jpg"])
def test_a_key_that_s3_does_not_know_is_refused(make_function, key):
    function = make_function()
    assert outcome(post_event(function, record(key))) == (400, "EventInvalid")
    assert function.store.reads == []


@pytest.mark.parametrize(
    "name", ["ObjectRemoved:Delete", "ObjectRestore:Post", "ObjectTagging:Put", "ReducedRedundancy"]
)
def test_other_events_are_accepted_and_ignored(stocked, name):
    function = stocked()
    response = post_event(function, record(name=name))
    assert (response.status_code, response.data) == (202, b"")
    assert function.store.reads == []
    assert function.sink.events == ()


@pytest.mark.parametrize(
    ("served", "name", "reads"),
    [
        ("ObjectCreated:*", "ObjectCreated:Copy", 1),
        ("s3:ObjectCreated:*", "s3:ObjectCreated:Put", 1),
        ("ObjectCreated:Put", "ObjectCreated:Put", 1),
        ("ObjectCreated:Put", "ObjectCreated:Copy", 0),
    ],
)
def test_the_event_names_that_are_served_are_a_setting(stocked, served, name, reads):
    function = stocked(event_name=served)
    assert post_event(function, record(name=name)).status_code == 202
    assert len(function.store.reads) == reads
    assert function.sample("rookery_events_total", outcome="ignored") == 1 - reads


def test_an_empty_batch_is_accepted(stocked):
    response = post(stocked(), ({"Content-Type": BATCH}, b"[]"))
    assert (response.status_code, response.data) == (202, b"")


def test_a_batch_of_events_is_one_result_each(stocked, jpeg):
    function = stocked()
    function.store.objects["images", "b.jpg"] = jpeg
    batch = to_batch([event(record("a.jpg"), id="1"), event(record("b.jpg"), id="2")])
    assert post(function, batch).status_code == 202
    assert [sent.extensions["causationid"] for sent in function.sink.events] == ["1", "2"]


def test_a_thousand_records_in_one_event_are_a_thousand_results(make_function, jpeg):
    function = make_function()
    keys = [f"{n}.jpg" for n in range(1000)]
    for key in keys:
        function.store.objects["images", key] = jpeg
    response = post_event(function, *[record(key) for key in keys])
    assert response.status_code == 202
    assert [sent.subject for sent in function.sink.events] == keys
    assert function.sample("rookery_events_total", outcome="completed") == 1000


@pytest.mark.parametrize("shape", ["records", "batch", "notification"])
def test_more_records_than_the_limit_are_refused_before_any_work(stocked, shape):
    function = stocked(max_records=2)
    records = [record(f"{n}.jpg") for n in range(3)]
    if shape == "batch":
        response = post(function, to_batch([event(one) for one in records]))
    elif shape == "records":
        response = post_event(function, *records)
    else:
        response = function.client.post("/", json={"Records": records})
    assert outcome(response) == (400, "EventInvalid")
    assert function.store.reads == []


def test_a_limit_above_a_thousand_is_meant_for_batches_too(make_function, jpeg):
    function = make_function(max_records=1001)
    function.store.objects["images", "a.jpg"] = jpeg
    batch = to_batch([event(id=str(n)) for n in range(1001)])
    assert post(function, batch).status_code == 202
    assert function.model.calls == 1


# --- what cannot be served -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "status", "error"),
    [
        ({"Content-Type": STRUCTURED}, b"{", 400, "EventInvalid"),
        ({"Content-Type": STRUCTURED}, b"", 400, "EventInvalid"),
        ({"Content-Type": STRUCTURED}, b"\xff", 400, "EventInvalid"),
        ({"Content-Type": BATCH}, b"{}", 400, "EventInvalid"),
        ({"Content-Type": "application/json"}, b"{", 400, "EventInvalid"),
        ({"Content-Type": "application/json"}, b"[" * 1000, 400, "EventInvalid"),
        ({"Content-Type": "application/json"}, b'"a string"', 400, "EventInvalid"),
        ({"Content-Type": "application/json"}, b"{}", 400, "EventInvalid"),
        ({"Content-Type": "application/cloudevents+avro"}, b"x", 415, "UnsupportedMedia"),
        ({"ce-specversion": "0.3", "ce-id": "1", "ce-source": "s", "ce-type": "t"}, b"{}", 400,
         "EventInvalid"),
    ],
)  # fmt: skip
def test_a_malformed_event_is_refused_for_good(stocked, headers, body, status, error):
    assert outcome(post(stocked(), (headers, body))) == (status, error)


@every_mode
@pytest.mark.parametrize("missing", ["id", "source", "type"])
def test_an_event_without_a_required_attribute_is_refused_by_name(stocked, encode, missing):
    headers, body = encode(event())
    headers.pop(f"ce-{missing}", None)
    if "cloudevents" in headers["Content-Type"]:
        document = json.loads(body)
        one = document[0] if isinstance(document, list) else document
        del one[missing]
        body = json.dumps(document).encode()
    response = post(stocked(), (headers, body))
    assert outcome(response) == (400, "EventInvalid")
    assert f"{missing} is missing" in response.json["message"]


def test_one_malformed_record_spoils_the_event_before_any_work(stocked):
    function = stocked()
    broken = record()
    del broken["s3"]["object"]["key"]
    response = post_event(function, record(), broken)
    assert outcome(response) == (400, "EventInvalid")
    assert "record 1" in response.json["message"]
    assert function.store.reads == []


def test_another_bucket_is_forbidden_before_any_work(stocked):
    function = stocked()
    response = post_event(function, record(), record(bucket="secrets"))
    assert outcome(response) == (403, "EventForbidden")
    assert function.store.reads == []


def test_a_function_without_a_store_refuses_events_and_says_which_setting(stocked):
    response = post_event(stocked(with_store=False))
    assert outcome(response) == (403, "EventForbidden")
    assert "S3_ENABLED" in response.json["message"]


def assert_failed_event(function, code, status):
    (failure,) = function.sink.events
    assert (failure.type, failure.subject) == (FAILED, "a.jpg")
    error = failure.json()["error"]
    assert (error["code"], error["status"]) == (code, status)


def test_an_object_that_is_gone_is_410_and_a_failed_event(make_function):
    function = make_function()
    assert outcome(post_event(function, Prefer="reply")) == (410, "ObjectGone")
    assert_failed_event(function, "ObjectGone", 410)


@pytest.mark.parametrize(
    ("data", "code", "status"),
    [
        (b"", "ImageEmpty", 422),
        (b"text, named .jpg", "ImageUndecodable", 422),
        (b"MM\0* a TIFF", "FormatNotAllowed", 415),
    ],
)
def test_an_object_that_is_no_image_is_refused_and_a_failed_event(stocked, data, code, status):
    function = stocked()
    function.store.objects["images", "a.jpg"] = data
    assert outcome(post_event(function)) == (status, code)
    assert_failed_event(function, code, status)
    assert function.sample("rookery_events_total", outcome="failed") == 1
    assert function.sample("rookery_errors_total", error=code) == 1


def test_an_object_over_the_limit_is_refused_and_a_failed_event(stocked):
    function = stocked()
    function.store.error = ObjectTooLarge("images/a.jpg has 1,073,741,824 bytes")
    assert outcome(post_event(function)) == (422, "ObjectTooLarge")
    assert_failed_event(function, "ObjectTooLarge", 422)


def test_without_a_sink_the_status_alone_tells_of_a_failure(stocked):
    function = stocked(with_sink=False)
    function.store.objects.clear()
    assert outcome(post_event(function)) == (410, "ObjectGone")


def test_the_same_refusal_of_the_same_object_is_one_fact(make_function):
    function = make_function()
    for _ in range(2):
        post_event(function)
    assert len({failure.id for failure in function.sink.events}) == 1


@pytest.mark.parametrize("error", [StorageUnavailable("down"), StorageDenied("wrong credentials")])
def test_a_store_that_does_not_answer_is_worth_a_retry_and_no_failure(stocked, error):
    function = stocked()
    function.store.error = error
    response = post_event(function)
    assert outcome(response) == (503, type(error).__name__)
    assert "Retry-After" in response.headers
    assert function.sink.events == ()


def test_what_failed_for_now_is_tried_again(stocked):
    function = stocked()
    function.store.error = StorageUnavailable("down")
    post_event(function)
    function.store.error = None
    assert post_event(function).status_code == 202
    assert [sent.type for sent in function.sink.events] == [COMPLETED]


def test_a_failing_backend_is_worth_a_retry_and_no_failure(stocked, monkeypatch):
    def fail(*_):
        raise BackendFailed("no")

    function = stocked()
    monkeypatch.setattr(type(function.model), "__call__", fail)
    assert outcome(post_event(function)) == (500, "BackendFailed")
    assert function.sink.events == ()


def test_a_sink_that_is_down_keeps_the_event_with_its_sender(stocked):
    function = stocked()
    function.sink.fail(SinkUnavailable("down"))
    assert outcome(post_event(function)) == (503, "SinkUnavailable")
    assert post_event(function).status_code == 202
    assert len(function.sink.events) == 1
    assert function.model.calls == 1


def test_a_failure_that_cannot_be_published_keeps_the_event_with_its_sender(make_function):
    function = make_function()
    function.sink.fail(SinkUnavailable("down"))
    assert outcome(post_event(function)) == (503, "SinkUnavailable")


def test_a_sink_that_refuses_the_result_for_good_is_424(stocked):
    function = stocked()
    function.sink.fail(DeliveryRejected("no"))
    assert outcome(post_event(function)) == (424, "DeliveryRejected")


def test_among_several_records_a_failure_is_one_of_the_results(stocked):
    function = stocked()
    response = post_event(function, record("a.jpg"), record("gone.jpg"), record("a.jpg", etag="2"))
    assert response.status_code == 202
    assert [sent.type for sent in function.sink.events] == [COMPLETED, FAILED, COMPLETED]
    assert function.sample("rookery_events_total", outcome="failed") == 1
    assert function.sample("rookery_errors_total", error="ObjectGone") == 1


def test_among_several_records_an_outage_is_a_retry_of_all_and_work_is_not_done_twice(stocked):
    function = stocked()
    function.sink.fail(SinkUnavailable("down"))
    records = (record("a.jpg"), record("a.jpg", etag="2"))
    assert post_event(function, *records).status_code == 503
    assert post_event(function, *records).status_code == 202
    assert len(function.sink.events) == 2
    assert function.model.calls == 2


# --- a producer that would retry a 4xx for ever --------------------------------------------


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (to_binary(event(record("gone.jpg"))), "ObjectGone"),
        (to_binary(event(record(bucket="secrets"))), "EventForbidden"),
        (to_binary(event(data=b"{")), "EventInvalid"),
        (({"Content-Type": STRUCTURED}, b"{"), "EventInvalid"),
        (({"Content-Type": "application/json"}, b"not JSON"), "EventInvalid"),
        (({"Content-Type": "application/cloudevents+avro"}, b"x"), "UnsupportedMedia"),
    ],
    ids=["gone", "forbidden", "broken-data", "broken-event", "broken-notification", "format"],
)  # fmt: skip
def test_poison_is_acknowledged_once_its_dead_letter_is_published(make_function, message, code):
    function = make_function(on_poison="ack-and-deadletter")
    response = post(function, message)
    assert (response.status_code, response.data) == (202, b"")
    (letter,) = function.sink.events
    assert letter.type == DEADLETTER
    assert letter.json()["error"]["code"] == code
    assert function.sample("rookery_errors_total", error=code) == 1


def test_a_dead_letter_keeps_the_event_as_it_came(make_function):
    function = make_function(on_poison="ack-and-deadletter")
    post(function, to_binary(event(record("gone.jpg"), id="poison")))
    kept = function.sink.events[0].json()["event"]
    assert kept["id"] == "poison"
    assert kept["data"]["Records"][0]["s3"]["object"]["key"] == "gone.jpg"


def test_poison_is_not_acknowledged_while_its_dead_letter_cannot_be_published(make_function):
    function = make_function(on_poison="ack-and-deadletter")
    function.sink.fail(SinkUnavailable("down"))
    assert outcome(post_event(function, record("gone.jpg"))) == (503, "SinkUnavailable")
    assert post_event(function, record("gone.jpg")).status_code == 202
    assert len(function.sink.events) == 1


def test_an_outage_is_no_poison(stocked):
    function = stocked(on_poison="ack-and-deadletter")
    function.store.error = StorageUnavailable("down")
    assert outcome(post_event(function)) == (503, "StorageUnavailable")
    assert function.sink.events == ()


def test_a_result_that_the_sink_refuses_is_poison_too(stocked):
    function = stocked(on_poison="ack-and-deadletter")
    function.sink.fail(DeliveryRejected("no"))
    assert post_event(function).status_code == 202
    (letter,) = function.sink.events
    assert letter.json()["error"]["code"] == "DeliveryRejected"


def test_an_image_request_is_never_acknowledged_as_poison(make_function):
    function = make_function(on_poison="ack-and-deadletter")
    response = function.client.post("/", data=b"text", content_type="image/jpeg")
    assert outcome(response) == (422, "ImageUndecodable")


# --- repeats -------------------------------------------------------------------------------


def test_a_repeat_is_answered_with_the_same_result_and_no_second_inference(stocked):
    function = stocked()
    first, second = (reply(post_event(function, Prefer="reply")) for _ in range(2))
    assert first == second
    assert function.model.calls == 1
    assert function.sample("rookery_events_total", outcome="repeated") == 1


def test_one_upload_seen_twice_is_one_result(stocked):
    function = stocked()
    for notification in ("first", "second"):
        post(function, to_binary(event(record(configurationId=notification), id=notification)))
    assert len({result.id for result in function.sink.events}) == 1
    assert function.model.calls == 1


@pytest.mark.parametrize(
    "other", [record(etag="2"), record(eventTime="2026-01-02T00:00:00Z"), record("b.jpg")]
)
def test_another_version_or_object_is_another_result(stocked, jpeg, other):
    function = stocked()
    function.store.objects["images", "b.jpg"] = jpeg
    post_event(function, record())
    post_event(function, other)
    assert len({result.id for result in function.sink.events}) == 2
    assert function.model.calls == 2


def test_duplicates_that_arrive_together_share_one_inference(make_function, jpeg, wait_until):
    function = make_function(concurrency=4, queue=8)
    function.store.objects["images", "a.jpg"] = jpeg
    function.model.gate.clear()
    answers = []

    def send():
        client = function.app.test_client()
        headers, body = to_binary(event())
        answers.append(client.post("/", data=body, headers={**headers, "Prefer": "reply"}))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert function.model.entered.wait(30)
    wait_until(lambda: function.gate.inside == 6, "all duplicates to be inside")
    function.model.gate.set()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({reply(answer).id for answer in answers}) == 1
    assert function.model.calls == 1
