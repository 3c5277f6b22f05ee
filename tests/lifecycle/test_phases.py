import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from rookery.backends.fixed import FixedBackend
from rookery.errors import BackendFailed, FormatNotAllowed, ModelInvalid
from rookery.images.limits import ImageLimits
from rookery.lifecycle.phases import load, warm


def warmed(version, **options):
    fields = {"limits": ImageLimits(), "top_k": 5, **options}
    return warm(load(version, FixedBackend()), **fields)


def test_loading_reads_model_card_and_labels_and_runs_nothing(penguins):
    loaded = load(penguins, FixedBackend())
    assert loaded.card == penguins.card
    assert loaded.labels[0] == "king penguin, Aptenodytes patagonica"
    assert loaded.backend == "fixed"


def test_labels_that_do_not_fit_the_card_are_refused_at_loading(penguins):
    card = replace(penguins.card, classes=8)
    with pytest.raises(ModelInvalid, match="names 7 classes, the model has 8"):
        load(replace(penguins, card=card), FixedBackend())


def test_a_warmed_classifier_answers(penguins, jpeg):
    answer = warmed(penguins).classifier.classify(jpeg)
    assert answer.scores[0].label == "king penguin, Aptenodytes patagonica"


def test_warming_runs_the_model_more_than_once(penguins):
    loaded = load(penguins, FixedBackend())
    batches = []

    def model(batch):
        batches.append(batch.shape)
        return loaded.model(batch)

    warm(replace(loaded, model=model), limits=ImageLimits(), top_k=5)
    assert batches == [(1, 8, 8, 3)] * 2


def test_warming_takes_turns_like_every_request(penguins):
    turns = []

    @contextmanager
    def turn():
        turns.append(1)
        yield

    warmed(penguins, turn=turn)
    assert len(turns) == 2


@pytest.mark.parametrize(
    "limits",
    [ImageLimits(formats=("PNG",)), ImageLimits(max_pixels=1), ImageLimits(max_bytes=1)],
    ids=["formats", "pixels", "bytes"],
)
def test_limits_that_refuse_the_warm_up_picture_do_not_prevent_the_start(penguins, limits):
    assert warmed(penguins, limits=limits).classifier.limits == limits


def test_the_limits_hold_once_it_is_warm(penguins, jpeg):
    classifier = warmed(penguins, limits=ImageLimits(formats=("PNG",))).classifier
    with pytest.raises(FormatNotAllowed):
        classifier.classify(jpeg)


@pytest.mark.parametrize(("top_k", "listed"), [(1, 1), (5, 5), (7, 7), (1000, 7)])
def test_no_more_classes_are_listed_than_there_are(penguins, jpeg, top_k, listed):
    assert len(warmed(penguins, top_k=top_k).classifier.classify(jpeg).scores) == listed


def test_a_model_that_cannot_answer_is_found_while_warming(penguins):
    def model(_):
        raise BackendFailed("no")

    loaded = replace(load(penguins, FixedBackend()), model=model)
    with pytest.raises(BackendFailed):
        warm(loaded, limits=ImageLimits(), top_k=5)


def test_warming_leaves_no_thread_behind(penguins):
    before = set(threading.enumerate())
    warmed(penguins)
    assert set(threading.enumerate()) <= before
