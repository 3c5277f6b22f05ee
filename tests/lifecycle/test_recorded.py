import logging
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from rookery.backends.fixed import FixedBackend
from rookery.backends.protocol import LoadedModel
from rookery.errors import BackendFailed
from rookery.images.limits import ImageLimits
from rookery.lifecycle.phases import load, warm
from rookery.models.labels import write_labels
from rookery.models.repository import Repository
from rookery.protobuf import length
from warm_up_files import predict_log, tensor, write_requests

FLOAT, UINT8, STRING = 1, 4, 7


@dataclass
class Recorder:
    """A model that keeps what it was asked."""

    model: LoadedModel
    batches: list
    fails: bool = False

    @property
    def signature(self):
        return self.model.signature

    def __call__(self, batch):
        if self.fails and len(batch) > 1:
            raise BackendFailed("too much")
        answer = self.model(batch)
        self.batches.append(batch)
        return answer


@pytest.fixture
def publish(tmp_path, penguins):
    """Publish the penguins with recorded requests, and load them with a model that listens."""

    def build(records, damage=lambda _: None):
        def fill(folder):
            labels = (penguins.directory / "labels.txt").read_text().splitlines()
            write_labels(folder / "labels.txt", labels)
            damage(write_requests(folder, records))

        version = Repository(tmp_path).publish(penguins.card, fill)
        loaded = load(version, FixedBackend())
        return replace(loaded, model=Recorder(loaded.model, []))

    return build


def images(count, height=8, dtype=FLOAT):
    item = np.float32 if dtype == FLOAT else np.uint8
    pixels = np.arange(count * height * 8 * 3).reshape(count, height, 8, 3).astype(item)
    return tensor(dtype, pixels.shape, length(4, pixels.tobytes())), pixels


def batches_of(loaded, **options):
    warm(loaded, limits=ImageLimits(), top_k=5, **options)
    return loaded.model.batches[2:]  # the first two are our own picture


def test_the_models_own_requests_are_run_as_they_are(publish):
    message, pixels = images(3)
    (batch,) = batches_of(publish([predict_log({"image": message})]))
    assert batch.dtype == np.float32
    assert np.array_equal(batch, pixels)


def test_encoded_images_go_the_whole_path_one_by_one(publish, jpeg):
    message = tensor(STRING, (2,), length(8, jpeg), length(8, jpeg))
    batches = batches_of(publish([predict_log({"bytes": message}, signature="encoded")]))
    assert [batch.shape for batch in batches] == [(1, 8, 8, 3)] * 2


def test_a_model_without_requests_is_warmed_by_our_picture_alone(publish):
    assert batches_of(publish([])) == []


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (predict_log({"image": images(1)[0]}, signature="other"), "it is for 'other'"),
        (predict_log({"picture": images(1)[0]}), "it has the input 'picture', the model 'image'"),
        (predict_log({"image": images(1, dtype=UINT8)[0]}), "it is uint8, the model takes float32"),
        (predict_log({"image": images(1, height=9)[0]}), r"the batch is float32\(1, 9, 8, 3\)"),
        (predict_log({"image": images(0)[0]}), r"it is an empty batch, \(0, 8, 8, 3\)"),
        (predict_log({}), "it has none"),
        (predict_log({"a": images(1)[0], "b": images(1)[0]}), "it has a, b"),
        (predict_log({"bytes": tensor(STRING, (1,), length(8, b"no image"))}), "image"),
        (b"", "no log of a request"),
    ],
)
def test_a_request_that_does_not_fit_is_left_out_with_one_warning(publish, caplog, record, reason):
    fits = predict_log({"image": images(2)[0]})
    loaded = publish([record, record, fits])
    with caplog.at_level(logging.WARNING):
        (batch,) = batches_of(loaded)
    assert batch.shape == (2, 8, 8, 3)
    (warning,) = caplog.messages
    assert warning.startswith("2 of the requests in ")
    assert "request 1: " in warning
    assert re.search(reason, warning)


def test_a_request_that_the_backend_fails_on_does_not_stop_the_model(publish, caplog):
    loaded = publish([predict_log({"image": images(2)[0]})])
    loaded.model.fails = True
    with caplog.at_level(logging.WARNING):
        batches_of(loaded)
    assert "request 1: too much" in caplog.text


def test_a_damaged_file_is_named_with_the_byte_and_the_model_serves(publish, caplog, jpeg):
    def damage(path):
        path.write_bytes(path.read_bytes() + b"\1")

    record = predict_log({"image": images(2)[0]})
    loaded = publish([record], damage)
    with caplog.at_level(logging.WARNING):
        warmed = warm(loaded, limits=ImageLimits(), top_k=5)
    assert len(loaded.model.batches) == 3
    (warning,) = caplog.messages
    assert "tf_serving_warmup_requests is damaged: no record starts at byte" in warning
    assert warmed.classifier.classify(jpeg).scores


def test_the_log_says_how_many_requests_were_run(publish, caplog):
    record = predict_log({"image": images(1)[0]})
    loaded = publish([record, record])
    with caplog.at_level(logging.INFO):
        batches_of(loaded)
    assert "with 2 of the model's own requests" in caplog.text


def test_recorded_requests_take_turns_too(publish):
    turns = []

    @contextmanager
    def turn():
        turns.append(threading.current_thread())
        yield

    batches_of(publish([predict_log({"image": images(1)[0]})]), turn=turn)
    assert len(turns) == 3


def test_every_batch_size_is_run_as_often_as_our_picture(publish):
    batches = batches_of(publish([]), batch_sizes=(1, 4, 2))
    assert [len(batch) for batch in batches] == [4, 2, 4, 2]


def test_a_batch_holds_real_instances(publish):
    loaded = publish([])
    (batch, _) = batches_of(loaded, batch_sizes=(3,))
    assert all(np.array_equal(instance, loaded.model.batches[0][0]) for instance in batch)
