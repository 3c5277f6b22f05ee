"""A .caffemodel is read without Caffe, and refused where it is damaged or another network's."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_googlenet import caffemodel
from rookery import protobuf
from rookery.errors import ModelInvalid
from rookery.zoo.caffemodel import load_weights, read_tensors

TENSORS = {
    "conv1/3x3": [np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3), np.array([1, 2], "f4")],
    "fc": [np.arange(8, dtype=np.float32).reshape(4, 2), np.array([1, 2, 3, 4], "f4")],
}
SMALL = caffemodel({"fc": TENSORS["fc"]}, old=False)


def test_tensors_read_back_as_they_were_written():
    found = read_tensors(caffemodel(TENSORS, old=False))
    assert list(found) == list(TENSORS)
    for name, tensors in TENSORS.items():
        for one, other in zip(found[name], tensors, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_format_of_2014_has_four_axes_everywhere():
    found = read_tensors(caffemodel(TENSORS, old=True))
    assert [tensor.shape for tensor in found["fc"]] == [(1, 1, 4, 2), (1, 1, 1, 4)]
    np.testing.assert_array_equal(found["fc"][0].ravel(), TENSORS["fc"][0].ravel())


def layer(*blobs):
    fields = [protobuf.length(1, b"fc"), *(protobuf.length(7, blob) for blob in blobs)]
    return protobuf.encode([protobuf.length(100, protobuf.encode(fields))])


def blob(numbers, *sizes):
    shape = protobuf.encode([protobuf.length(1, bytes(sizes))])
    return protobuf.encode([protobuf.length(7, shape), protobuf.length(5, numbers)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no weights"),
        (b"\x0a\x03abc", "holds no weights"),
        (b"no protocol buffer", "no .caffemodel, or a damaged one"),
        (SMALL[:-1], "no .caffemodel, or a damaged one"),
        (layer(), "holds no weights"),
        (layer(blob(bytes(8), 3)), r"a tensor of shape \(3,\) has 2 numbers"),
        (layer(blob(bytes(7), 2)), "no .caffemodel, or a damaged one"),
        (layer(blob(b"", 0)), r"a tensor of shape \(0,\) has 0 numbers"),
        (layer(blob(bytes(8), 2, 255)), "no .caffemodel, or a damaged one"),
    ],
)
def test_what_is_no_caffemodel_is_refused(data, message):
    with pytest.raises(ModelInvalid, match=message):
        read_tensors(data)


@given(st.data())
def test_a_mutated_caffemodel_gives_tensors_or_model_invalid(data):
    content = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(ModelInvalid):
        read_tensors(bytes(content))


# --- into a network ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    from rookery.backends.savedmodel import import_tensorflow

    import_tensorflow()
    import keras

    convolution = keras.layers.Conv2D(2, 3, name="conv1.3x3")
    pool = keras.layers.GlobalAveragePooling2D()
    layers = [keras.Input((5, 5, 3)), convolution, pool, keras.layers.Dense(4, name="fc")]
    return keras.Sequential(layers, name="small")


def write(tmp_path, tensors, *, old=False):
    path = tmp_path / "small.caffemodel"
    path.write_bytes(caffemodel(tensors, old=old))
    return path


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
@pytest.mark.parametrize("old", [False, True])
def test_axes_become_those_of_keras(old, network, tmp_path):
    load_weights(network, write(tmp_path, TENSORS, old=old))
    kernel = TENSORS["conv1/3x3"][0]
    np.testing.assert_array_equal(network.layers[0].kernel, kernel.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(network.layers[2].kernel, TENSORS["fc"][0].T)
    np.testing.assert_array_equal(network.layers[2].bias, TENSORS["fc"][1])


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fc": None}, "it has no layer fc"),
        ({"fc2": TENSORS["fc"]}, "its layer fc2 is no layer of the network"),
        ({"fc": TENSORS["fc"][:1]}, "layer fc has 1 tensors, the network's has 2"),
        (
            {"fc": [np.zeros((2, 4), "f4"), TENSORS["fc"][1]]},
            r"a tensor of fc is \(2, 4\), the network's is \(4, 2\)",
        ),
        (
            {"fc": [np.zeros((2, 1, 4, 2), "f4"), TENSORS["fc"][1]]},
            r"a tensor of fc is \(2, 1, 4, 2\), the network's is \(4, 2\)",
        ),
        (
            {"fc": [TENSORS["fc"][0].ravel(), TENSORS["fc"][1]]},
            r"a tensor of fc is \(8,\), the network's is \(4, 2\)",
        ),
    ],
)
def test_a_layer_that_does_not_fit_is_named(changes, message, network, tmp_path):
    tensors = {name: found for name, found in (TENSORS | changes).items() if found is not None}
    with pytest.raises(
        ModelInvalid, match=rf"small\.caffemodel holds no weights of small: {message}"
    ):
        load_weights(network, write(tmp_path, tensors))


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
def test_layers_that_only_training_needs_are_left_out(network, tmp_path):
    tensors = TENSORS | {"loss1/fc": TENSORS["fc"]}
    load_weights(network, write(tmp_path, tensors), ignored=("loss1/",))
    np.testing.assert_array_equal(network.layers[2].bias, TENSORS["fc"][1])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelInvalid, match=r"gone\.caffemodel cannot be read"):
        load_weights(None, tmp_path / "gone.caffemodel")
