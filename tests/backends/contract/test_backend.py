"""What every backend promises: one suite, run on all of them, with every format they read."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rookery.backends.protocol import TensorSpec
from rookery.backends.registry import backend_names, create_backend
from rookery.errors import BackendFailed

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


def images(count, seed=0):
    return np.random.default_rng(seed).random((count, 8, 6, 3), np.float32)


FORMATS = {
    "fixed": ["savedmodel"],
    "opencv": ["frozen", "onnx"],
    "openvino": ["openvino", "savedmodel", "onnx", "frozen"],
    "tensorflow": ["savedmodel", "frozen"],
    "tensorflow-frozen": ["frozen", "savedmodel"],
    "tensorflow-xla": ["savedmodel", "frozen"],
}
# It has an environment of its own, see tests/backends/test_itex.py.
ELSEWHERE = {"itex"}
CASES = [(name, format_) for name, formats in FORMATS.items() for format_ in formats]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def backend(case):
    name, _ = case
    return create_backend(name)


@pytest.fixture(scope="module")
def card(case, card):
    _, format_ = case
    return replace(card, format=format_, other_formats=())


@pytest.fixture(scope="module")
def model(backend, tiny, card):
    return backend.load(tiny, card)


def test_every_backend_is_here():
    assert FORMATS.keys() | ELSEWHERE == set(backend_names())


def test_the_signature_is_the_card_s(model):
    assert model.signature.inputs == (TensorSpec("image", "float32", (None, 8, 6, 3)),)
    assert TensorSpec("scores", "float32", (None, 3)) in model.signature.outputs


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_batch_of_any_size_gives_one_row_of_probabilities_each(count, model):
    scores = model(images(count))["scores"]
    assert (scores.shape, scores.dtype) == ((count, 3), np.float32)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def test_it_gives_what_the_network_is(backend, model, expected):
    batch = images(5)
    if backend.name == "fixed":
        np.testing.assert_allclose(model(batch)["scores"][:, 0], 4 / 7, rtol=1e-5)
    else:
        np.testing.assert_allclose(model(batch)["scores"], expected(batch), atol=1e-6)


def test_no_file_of_a_model_is_mapped(model, tiny):
    # In a snapshot the weights would be what has become of the file by the time it wakes.
    model(images(1))
    maps = Path("/proc/self/maps").read_text()
    assert [line for line in maps.splitlines() if f"{tiny}/" in line] == []


def test_every_output_of_the_signature_is_returned_by_name(model):
    assert set(model(images(1))) == {spec.name for spec in model.signature.outputs}


def test_a_batch_gives_what_its_images_give_alone(model):
    batch = images(4)
    alone = np.concatenate([model(image[None])["scores"] for image in batch])
    np.testing.assert_allclose(model(batch)["scores"], alone, atol=1e-6)


def test_the_layout_of_the_batch_in_memory_does_not_matter(model):
    batch = images(3)
    frozen = batch.copy()
    frozen.flags.writeable = False
    for same in (np.asfortranarray(batch), np.repeat(batch, 2, axis=0)[::2], frozen):
        np.testing.assert_array_equal(model(same)["scores"], model(batch)["scores"])


def test_an_answer_is_not_changed_by_the_next_call(model):
    first = model(images(2, seed=1))["scores"]
    kept = first.copy()
    model(images(2, seed=2))
    np.testing.assert_array_equal(first, kept)


def test_many_threads_get_the_answers_that_one_gets(model):
    batches = [images(1 + seed % 3, seed) for seed in range(64)]
    expected = [model(batch)["scores"] for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: model(batch)["scores"], batches))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 8, 6, 4), (1, 6, 8, 3), (8, 6, 3), (1, 3)])
def test_a_batch_of_another_shape_is_a_failure_and_the_model_lives_on(shape, model):
    with pytest.raises(BackendFailed):
        model(np.zeros(shape, np.float32))
    assert model(images(1))["scores"].shape == (1, 3)


def test_two_models_can_be_loaded_at_once(backend, tiny, card, model):
    batch = images(1)
    np.testing.assert_array_equal(backend.load(tiny, card)(batch)["scores"], model(batch)["scores"])
