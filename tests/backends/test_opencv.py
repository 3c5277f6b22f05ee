"""What OpenCV says about networks it cannot run, and which of theirs it runs."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rookery.backends.opencv import OpenCvBackend
from rookery.backends.options import Options
from rookery.errors import ModelInvalid

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

BATCH = np.random.default_rng(0).random((2, 8, 6, 3), np.float32)
FILES = {"frozen": "frozen.pb", "onnx": "model.onnx"}


def load(directory, card, **options):
    return OpenCvBackend(Options(**options)).load(directory, card)


@pytest.fixture(params=FILES)
def format_(request):
    return request.param


@pytest.fixture
def card(card, format_):
    return replace(card, format=format_)


@pytest.fixture
def file(tiny, tmp_path, format_):
    return Path(shutil.copy(tiny / FILES[format_], tmp_path))


def empty(_):
    return b""


def random_bytes(_):
    return b"\xff" * 300


def cut(data):
    return data[:-20]


@pytest.mark.parametrize("harm", [empty, random_bytes, cut])
def test_a_damaged_file_is_refused(harm, file, card, tmp_path):
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(ModelInvalid, match=f"OpenCV cannot load {file}: "):
        load(tmp_path, card)


def test_a_card_with_another_number_of_classes_is_refused(tiny, card):
    message = r"output 'scores' is float32\(1, 3\), it must be float32\(1, 4\)"
    with pytest.raises(ModelInvalid, match=message):
        load(tiny, replace(card, classes=4))


def test_a_savedmodel_is_not_for_opencv(tiny, card):
    with pytest.raises(ModelInvalid, match="opencv reads frozen, onnx; tiny/1 is savedmodel"):
        load(tiny, replace(card, format="savedmodel"))


def test_it_takes_as_many_threads_as_it_is_given(tiny, card):
    import cv2

    before = cv2.getNumThreads()
    try:
        load(tiny, card, threads=1)
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize("format_", ["onnx"], indirect=True)
class TestOnnx:
    def test_an_operation_it_does_not_know_is_named(self, tmp_path, card, as_onnx):
        (tmp_path / "model.onnx").write_bytes(as_onnx(last="Frobnicate"))
        message = "does not know the operation 'own.Frobnicate' of layer"
        with pytest.raises(ModelInvalid, match=message):
            load(tmp_path, card)

    @pytest.mark.parametrize("shape", [("n", 3, 8, 6), ("n", 8, 6, 3)])
    def test_the_batch_is_as_callers_have_it(self, shape, tmp_path, card, as_onnx, expected):
        (tmp_path / "model.onnx").write_bytes(as_onnx(shape))
        scores = load(tmp_path, card)(BATCH)["scores"]
        np.testing.assert_allclose(scores, expected(BATCH), atol=1e-6)


@pytest.mark.parametrize("format_", ["frozen"], indirect=True)
class TestFrozenGraph:
    def test_an_operation_it_does_not_know_is_named(self, file, card, tmp_path):
        data = file.read_bytes()
        assert data.count(b"\x12\x07Softmax") == 1  # field 2 of a node, its operation
        file.write_bytes(data.replace(b"\x12\x07Softmax", b"\x12\x07Strange"))
        message = "does not know the operation 'Strange' of layer '.*Softmax'"
        with pytest.raises(ModelInvalid, match=message):
            load(tmp_path, card)

    def test_of_several_outputs_one_must_be_the_card_s(self, file, card, tmp_path):
        import tensorflow as tf

        graph = tf.compat.v1.GraphDef.FromString(file.read_bytes())
        (softmax,) = [node.name for node in graph.node if node.op == "Softmax"]
        for name in ("left", "right"):
            graph.node.add(name=name, op="Relu", input=[softmax]).attr["T"].type = 1
        file.write_bytes(graph.SerializeToString())
        with pytest.raises(ModelInvalid, match=r"output 'scores' does not exist .* left, right"):
            load(tmp_path, card)
        scores = load(tmp_path, replace(card, output="right"))(BATCH)["right"]
        assert scores.shape == (2, 3)
