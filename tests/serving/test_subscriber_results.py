"""Results kept as objects, and objects that are overwritten or deleted meanwhile."""

import json
import threading
from urllib.parse import quote_plus

import pytest

from rookery.errors import DeliveryRejected, SinkUnavailable, StorageUnavailable
from rookery.events.result import COMPLETED, DEADLETTER, FAILED
from rookery.events.wire import CloudEvent, to_binary
from rookery.images.sample import sample_jpeg
from rookery.storage.memory import MemoryStore
from rookery.storage.results import ResultsPlace


class Storage(MemoryStore):
    """Two buckets, and a say in what goes wrong."""

    def __init__(self):
        super().__init__("images", "results")
        self.on_write = None

    def write(self, bucket, key, data, *, content_type):
        if self.on_write is not None:
            self.on_write(bucket, key)
        super().write(bucket, key, data, content_type=content_type)

    def put(self, key, data, bucket="images"):
        super().write(bucket, key, data, content_type="image/jpeg")
        return self.find(bucket, key).etag

    def results(self, bucket="results"):
        return [one.key for one in self.page(bucket, prefix="results/").objects]

    def kept(self, name):
        return json.loads(self.read("results", name, version=None, max_bytes=100_000).data)


@pytest.fixture
def make(make_function):
    def make(**options):
        defaults = {"store": Storage(), "results": ResultsPlace("results", "results/")}
        return make_function(**{**defaults, **options})

    return make


def record(key, etag=None, *, bucket="images", time="2026-01-01T00:00:00Z", version=None):
    described = {"key": quote_plus(key), "eTag": etag, "versionId": version}
    return {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": time,
        "s3": {
            "bucket": {"name": bucket},
            "object": {name: value for name, value in described.items() if value is not None},
        },
    }


def post(function, *records, **headers):
    event = CloudEvent(
        id="1",
        source="aws:s3.us-east-1.images",
        type="com.amazonaws.s3.ObjectCreated:Put",
        datacontenttype="application/json",
        data=json.dumps({"Records": list(records)}).encode(),
    )
    fields, body = to_binary(event)
    return function.client.post("/", data=body, headers={**fields, **headers})


# --- where and when a result is kept -------------------------------------------------------


def test_what_is_sent_to_the_sink_is_kept_too(make, jpeg):
    function = make()
    etag = function.store.put("a.jpg", jpeg)
    assert post(function, record("a.jpg", etag)).status_code == 202
    (sent,) = function.sink.events
    (name,) = function.store.results()
    assert name == f"results/images/a.jpg/{etag}.json"
    assert (function.store.kept(name)["type"], function.store.kept(name)["id"]) == (
        COMPLETED,
        sent.id,
    )


@pytest.mark.parametrize("with_sink", [True, False])
def test_what_is_the_reply_is_kept_too(make, jpeg, with_sink):
    function = make(with_sink=with_sink)
    etag = function.store.put("a.jpg", jpeg)
    assert post(function, record("a.jpg", etag), Prefer="reply").status_code == 200
    assert function.store.results() == [f"results/images/a.jpg/{etag}.json"]


@pytest.mark.parametrize("options", [{}, {"with_sink": False}, {"on_poison": "ack-and-deadletter"}])
def test_a_failure_is_kept_whoever_hears_of_it(make, options):
    function = make(**options)
    etag = function.store.put("notes.jpg", b"text")
    post(function, record("notes.jpg", etag))
    (name,) = function.store.results()
    assert name == f"results/images/notes.jpg/{etag}.failed.json"
    assert function.store.kept(name)["type"] == FAILED
    assert function.store.kept(name)["data"]["error"]["code"] == "ImageUndecodable"


def test_of_several_records_each_is_kept(make, jpeg):
    function = make()
    good, bad = function.store.put("a.jpg", jpeg), function.store.put("b.jpg", b"text")
    assert post(function, record("a.jpg", good), record("b.jpg", bad)).status_code == 202
    assert function.store.results() == [
        f"results/images/a.jpg/{good}.json",
        f"results/images/b.jpg/{bad}.failed.json",
    ]


def test_an_event_without_an_entity_tag_is_kept_under_that_of_what_was_read(make, jpeg):
    function = make()
    etag = function.store.put("a.jpg", jpeg)
    post(function, record("a.jpg"))
    assert function.store.results() == [f"results/images/a.jpg/{etag}.json"]


def test_a_result_is_sent_before_it_is_kept(make, jpeg):
    function = make()
    etag = function.store.put("a.jpg", jpeg)
    sent_before = []
    function.store.on_write = lambda *_: sent_before.append(len(function.sink.events))
    post(function, record("a.jpg", etag))
    assert sent_before == [1]


def test_a_result_that_cannot_be_kept_keeps_the_event_with_its_sender(make, jpeg):
    function = make()
    etag = function.store.put("a.jpg", jpeg)

    def fail(*_):
        raise StorageUnavailable("down")

    function.store.on_write = fail
    assert post(function, record("a.jpg", etag)).status_code == 503
    function.store.on_write = None
    assert post(function, record("a.jpg", etag)).status_code == 202
    # What was sent before is sent again under the same id, and computed once.
    assert len({sent.id for sent in function.sink.events}) == 1
    assert function.model.calls == 1
    assert len(function.store.results()) == 1


def test_a_results_bucket_that_is_missing_is_worth_a_retry_and_said(make, jpeg):
    function = make(results=ResultsPlace("nowhere", ""))
    etag = function.store.put("a.jpg", jpeg)
    response = post(function, record("a.jpg", etag))
    assert response.status_code == 503
    assert "ROOKERY_RESULTS_BUCKET" in response.json["message"]


@pytest.mark.parametrize("error", [SinkUnavailable("down"), DeliveryRejected("no")])
def test_what_the_sink_did_not_take_is_not_done(make, jpeg, error):
    function = make()
    etag = function.store.put("a.jpg", jpeg)
    function.sink.fail(error)
    post(function, record("a.jpg", etag))
    assert function.store.results() == []


# --- no recursion --------------------------------------------------------------------------


@pytest.mark.parametrize("on_poison", ["reject", "ack-and-deadletter"])
@pytest.mark.parametrize("bucket", ["images", "results"])
def test_events_about_results_are_accepted_and_ignored(make, bucket, on_poison):
    function = make(results=ResultsPlace(bucket, "results/"), on_poison=on_poison)
    key = "results/images/a.jpg/1.json"
    function.store.put(key, b"{}", bucket=bucket)
    response = post(function, record(key, bucket=bucket))
    assert (response.status_code, response.data) == (202, b"")
    assert function.sink.events == ()
    assert function.sample("rookery_events_total", outcome="ignored") == 1


def test_beside_its_results_a_bucket_is_served(make, jpeg):
    function = make(results=ResultsPlace("images", "results/"))
    etag = function.store.put("a.jpg", jpeg)
    assert post(function, record("a.jpg", etag)).status_code == 202
    assert function.store.results("images") == [f"results/images/a.jpg/{etag}.json"]


def test_another_key_of_the_results_bucket_is_no_image_of_ours(make):
    response = post(make(), record("secret.jpg", bucket="results"))
    assert (response.status_code, response.json["error"]) == (403, "EventForbidden")


# --- overwritten and deleted ---------------------------------------------------------------


def test_what_was_overwritten_before_it_is_read_is_replaced_and_its_successor_has_a_result(make):
    function = make()
    old = function.store.put("a.jpg", sample_jpeg(64, 48))
    new = function.store.put("a.jpg", sample_jpeg(48, 64))
    response = post(function, record("a.jpg", old))
    assert (response.status_code, response.json["error"]) == (410, "ObjectReplaced")
    post(function, record("a.jpg", new, time="2026-01-01T00:00:01Z"))
    assert [(sent.type, sent.json()["object"]["etag"]) for sent in function.sink.events] == [
        (FAILED, old),
        (COMPLETED, new),
    ]
    assert set(function.store.results()) == {
        f"results/images/a.jpg/{old}.failed.json",
        f"results/images/a.jpg/{new}.json",
    }


def test_what_was_overwritten_is_a_dead_letter_where_poison_is_acknowledged(make, jpeg):
    function = make(on_poison="ack-and-deadletter")
    function.store.put("a.jpg", jpeg)
    assert post(function, record("a.jpg", "0" * 32)).status_code == 202
    (letter,) = function.sink.events
    assert (letter.type, letter.json()["error"]["code"]) == (DEADLETTER, "ObjectReplaced")


def test_what_is_overwritten_while_it_is_processed_gets_its_own_result_and_so_does_the_newer(make):
    function = make(concurrency=2)
    images = {"old": sample_jpeg(64, 48), "new": sample_jpeg(48, 64)}
    old = function.store.put("a.jpg", images["old"])
    function.model.gate.clear()
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(post(function, record("a.jpg", old)).status_code)
    )
    thread.start()
    assert function.model.entered.wait(30)  # downloaded, and in the model
    new = function.store.put("a.jpg", images["new"])
    function.model.gate.set()
    thread.join()
    answers.append(post(function, record("a.jpg", new)).status_code)

    assert answers == [202, 202]
    assert [
        (sent.json()["object"]["etag"], sent.json()["image"]["width"])
        for sent in function.sink.events
    ] == [(old, 64), (new, 48)]
    assert set(function.store.results()) == {
        f"results/images/a.jpg/{tag}.json" for tag in (old, new)
    }


def test_what_is_deleted_before_it_is_read_is_gone(make, jpeg):
    function = make()
    etag = function.store.put("a.jpg", jpeg)
    function.store.delete("images", "a.jpg")
    response = post(function, record("a.jpg", etag))
    assert (response.status_code, response.json["error"]) == (410, "ObjectGone")
    assert function.store.results() == [f"results/images/a.jpg/{etag}.failed.json"]
