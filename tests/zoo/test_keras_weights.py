"""Keras' own files of weights: every format it has, and what does not fit is named."""

import h5py
import numpy as np
import pytest

from rookery.errors import ModelInvalid
from rookery.zoo.keras_weights import load_weights

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


@pytest.fixture(scope="module")
def keras():
    from rookery.backends.savedmodel import import_tensorflow

    import_tensorflow()
    import keras

    return keras


def small(keras, classes=3, *, deeper=False):
    layers = [keras.Input((2,)), keras.layers.Dense(4, name="hidden")]
    layers += [keras.layers.BatchNormalization()] if deeper else []
    return keras.Sequential([*layers, keras.layers.Dense(classes, name="fc")], name="small")


def legacy(model, path):
    """As every file of weights that Keras Applications publishes."""
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


def whole(model, path):
    with h5py.File(path, "w") as file:
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

        save_weights_to_hdf5_group(file.create_group("model_weights"), model)


def current(model, path):
    model.save_weights(path)


@pytest.mark.parametrize(
    ("write", "name"), [(legacy, "a.h5"), (whole, "a.h5"), (current, "a.weights.h5")]
)
def test_weights_read_back_as_they_were_written(write, name, keras, tmp_path):
    model, other = small(keras), small(keras)
    write(model, tmp_path / name)
    load_weights(other, tmp_path / name)
    for one, loaded in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one, loaded)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"classes": 5}, r"its tensor .*fc/kernel is \(4, 5\), small/fc/kernel takes \(4, 3\)"),
        ({"deeper": True}, r"its tensor .*gamma is \(4,\), small/fc/kernel takes \(4, 3\)"),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(other, message, keras, tmp_path):
    path = tmp_path / "other.h5"
    legacy(small(keras, **other), path)
    with pytest.raises(ModelInvalid, match=rf"other\.h5 holds no weights of small: {message}"):
        load_weights(small(keras), path)


def test_a_file_with_more_of_the_same_says_how_many(keras, tmp_path):
    path = tmp_path / "other.h5"
    legacy(small(keras), path)
    first = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)], name="small")
    with pytest.raises(ModelInvalid, match="it has 4 tensors, the network 2"):
        load_weights(first, path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.h5", b"not hdf5"),
        ("a.weights.h5", b"not hdf5"),
        ("a.pth", b"x"),
        ("a.h5", b""),
        ("a.keras", b"no archive"),
        ("a.keras", b""),
    ],
)
def test_a_file_without_weights_is_refused(name, content, keras, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    message = r"holds no weights of small: .*[^.:;]; a whole model .*rookery models import"
    with pytest.raises(ModelInvalid, match=message):
        load_weights(small(keras), path)


def test_weights_of_another_network_in_the_current_format_are_refused(keras, tmp_path):
    path = tmp_path / "other.weights.h5"
    current(small(keras, classes=5), path)
    with pytest.raises(ModelInvalid, match="holds no weights of small"):
        load_weights(small(keras), path)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_keras_file_that_is_damaged_is_refused(share, keras, tmp_path):
    path = tmp_path / "small.keras"
    small(keras).save(path)
    data = bytearray(path.read_bytes())
    at = int(len(data) * share)
    data[at : at + 200] = bytes(byte ^ 0xFF for byte in data[at : at + 200])
    path.write_bytes(data)
    with pytest.raises(ModelInvalid, match=r"small\.keras holds no weights of small: "):
        load_weights(small(keras), path)


def test_a_file_that_is_not_there_is_refused(keras, tmp_path):
    with pytest.raises(ModelInvalid, match=r"gone\.h5 holds no weights of small"):
        load_weights(small(keras), tmp_path / "gone.h5")
