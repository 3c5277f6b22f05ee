import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from rookery.backends.fixed import FixedBackend
from rookery.errors import (
    BackendFailed,
    ImageTooLarge,
    ImageUndecodable,
    ObjectGone,
    ObjectReplaced,
    ObjectTooLarge,
)
from rookery.events.object_created import ObjectCreated
from rookery.events.result import COMPLETED
from rookery.events.wire import CloudEvent
from rookery.images.limits import ImageLimits
from rookery.models.labels import read_labels
from rookery.pipeline import Classifier, recognize
from rookery.storage.memory import MemoryStore

OBJECT = ObjectCreated(bucket="images", key="a b.jpg", event_name="ObjectCreated:Put", time="1")
CAUSE = CloudEvent(
    id="cause", source="/s", type="t", extensions={"traceparent": "00-1-2-01", "other": "x"}
)


@pytest.fixture
def classifier(penguins):
    return Classifier(
        model=FixedBackend().load(penguins.directory, penguins.card),
        card=penguins.card,
        labels=read_labels(penguins.directory, penguins.card),
        backend="fixed",
        limits=ImageLimits(max_bytes=10_000, max_pixels=64 * 48),
        top_k=3,
    )


@pytest.fixture
def store(jpeg):
    store = MemoryStore("images")
    store.write("images", "a b.jpg", jpeg, content_type="image/jpeg")
    return store


def recognized(store, classifier, obj=OBJECT, cause=CAUSE):
    return recognize(
        obj,
        store=store,
        classifier=classifier,
        cause=cause,
        source="/f",
        time="2026-01-01T00:00:00Z",
    )


def test_an_announced_object_becomes_a_result_event(store, classifier):
    result = recognized(store, classifier)
    assert (result.type, result.source, result.subject) == (COMPLETED, "/f", "a b.jpg")
    assert result.time == "2026-01-01T00:00:00Z"
    assert result.json()["top_prediction"] == [["king penguin, Aptenodytes patagonica"]]
    assert result.json()["object"] == {
        "bucket": "images", "key": "a b.jpg", "version": None, "size": None,
        "etag": store.find("images", "a b.jpg").etag,
    }  # fmt: skip


def test_the_result_belongs_to_the_trace_of_its_cause(store, classifier):
    result = recognized(store, classifier)
    assert result.extensions == {"traceparent": "00-1-2-01", "causationid": "cause"}


def test_a_repeat_has_the_same_id_and_another_model_version_another(store, classifier):
    first, again = recognized(store, classifier), recognized(store, classifier, cause=None)
    newer = replace(classifier, card=replace(classifier.card, version=2))
    assert first.id == again.id
    assert recognized(store, newer).id != first.id


def test_the_announced_version_is_read_not_the_newest(store, classifier):
    store.write("images", "a b.jpg", b"text by now", content_type="text/plain")
    first = replace(OBJECT, version="1")
    assert recognized(store, classifier, first).type == COMPLETED
    with pytest.raises(ImageUndecodable):
        recognized(store, classifier)


def test_an_object_that_was_overwritten_is_not_classified_as_what_is_there_now(store, classifier):
    announced = replace(OBJECT, etag=store.find("images", "a b.jpg").etag)
    assert recognized(store, classifier, announced).type == COMPLETED
    store.write("images", "a b.jpg", b"text by now", content_type="text/plain")
    with pytest.raises(ObjectReplaced):
        recognized(store, classifier, announced)


def test_a_version_is_read_whatever_its_entity_tag_is_said_to_be(store, classifier):
    announced = replace(OBJECT, version="1", etag="another")
    assert recognized(store, classifier, announced).type == COMPLETED


def test_the_result_names_the_entity_tag_of_what_was_classified(store, classifier):
    etag = store.find("images", "a b.jpg").etag
    result = recognized(store, classifier)
    assert result.json()["object"]["etag"] == etag
    # The id follows from what was announced, so that every repeat comes to the same.
    assert result.id != recognized(store, classifier, replace(OBJECT, etag=etag)).id


def test_an_object_that_is_gone_has_no_result(store, classifier):
    with pytest.raises(ObjectGone):
        recognized(store, classifier, replace(OBJECT, key="gone.jpg"))


def test_an_object_over_the_limit_is_not_decoded(store, classifier):
    store.write("images", "a b.jpg", b"x" * 10_001, content_type="image/jpeg")
    with pytest.raises(ObjectTooLarge):
        recognized(store, classifier)


def test_pixels_over_the_limit_are_refused(classifier, jpeg):
    tight = replace(classifier, limits=ImageLimits(max_pixels=64 * 48 - 1))
    with pytest.raises(ImageTooLarge):
        tight.classify(jpeg)


def test_the_model_sees_one_image_of_its_own_size(classifier, jpeg):
    seen = []

    def model(batch):
        seen.append((batch.shape, batch.dtype))
        return classifier.model(batch)

    replace(classifier, model=model).classify(jpeg)
    assert seen == [((1, 8, 8, 3), np.float32)]


def test_the_parts_of_the_time_are_no_more_than_all_of_it(classifier, jpeg):
    timings = classifier.classify(jpeg).timings
    assert min(timings.decode_ms, timings.infer_ms) >= 0
    assert timings.decode_ms + timings.infer_ms <= timings.total_ms


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_the_backends_failure(classifier, jpeg, value):
    scores = np.full((1, classifier.card.classes), value, np.float32)
    broken = replace(classifier, model=lambda _: {classifier.card.output: scores})
    with pytest.raises(BackendFailed):
        broken.classify(jpeg)


def test_decoding_and_inferring_happen_in_a_turn_and_a_failure_gives_it_back(classifier):
    held = threading.Lock()

    @contextmanager
    def turn():
        with held:
            yield

    with pytest.raises(ImageUndecodable):
        replace(classifier, turn=turn).classify(b"text")
    assert not held.locked()
