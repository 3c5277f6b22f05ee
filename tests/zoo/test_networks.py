"""The architectures, and how weights get into them."""

import numpy as np
import pytest

from rookery.errors import ModelInvalid
from rookery.zoo import efficientnet_lite0, resnet50

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


@pytest.fixture(scope="module")
def keras():
    from rookery.backends.savedmodel import import_tensorflow

    import_tensorflow()
    import keras

    return keras


@pytest.fixture(scope="module")
def lite0(keras):
    del keras
    return efficientnet_lite0.build()


def test_lite0_has_the_published_number_of_parameters(lite0):
    assert lite0.count_params() == 4_694_024
    assert sum(int(np.prod(weight.shape)) for weight in lite0.trainable_weights) == 4_652_008


def test_lite0_takes_images_and_gives_a_thousand_classes(lite0):
    assert lite0.input_shape == (None, 224, 224, 3)
    assert lite0.output_shape == (None, 1000)


def test_every_tensor_of_the_package_is_used(lite0):
    efficientnet_lite0.load_weights(lite0, efficientnet_lite0.weights_path())
    assert np.std(lite0.get_layer("fc").kernel) > 0.01


def tiny(checkpoint, tmp_path, tensors):
    path = tmp_path / "weights.pth"
    path.write_bytes(checkpoint(tensors))
    return path


DENSE = {
    "_fc.weight": np.arange(6, dtype=np.float32).reshape(3, 2),
    "_fc.bias": np.array([7, 8, 9], np.float32),
}


@pytest.fixture
def dense(keras):
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="fc")])


def test_a_dense_layer_is_transposed(dense, checkpoint, tmp_path):
    counted = DENSE | {"_bn.num_batches_tracked": np.array(3, np.int64)}
    efficientnet_lite0.load_weights(dense, tiny(checkpoint, tmp_path, counted))
    np.testing.assert_array_equal(dense.layers[0].kernel, DENSE["_fc.weight"].T)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_fc.bias": None}, "no tensor _fc.bias"),
        ({"_more.bias": DENSE["_fc.bias"]}, "tensors no layer takes: _more.bias"),
        ({"_fc.bias": np.zeros(4, np.float32)}, r"_fc.bias is float32\(4,\), the layer takes"),
        ({"_fc.weight": np.zeros((2, 3), np.float32)}, r"_fc.weight is float32\(3, 2\)"),
        ({"_fc.bias": np.zeros(3, np.int64)}, r"_fc.bias is int64\(3,\)"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(changes, message, dense, checkpoint, tmp_path):
    merged = DENSE | changes
    tensors = {name: tensor for name, tensor in merged.items() if tensor is not None}
    with pytest.raises(ModelInvalid, match=message):
        efficientnet_lite0.load_weights(dense, tiny(checkpoint, tmp_path, tensors))


def test_a_checkpoint_that_is_not_there_is_named(dense, tmp_path):
    with pytest.raises(ModelInvalid, match=r"gone\.pth cannot be read"):
        efficientnet_lite0.load_weights(dense, tmp_path / "gone.pth")


@pytest.fixture(scope="module")
def resnet(keras):
    del keras
    return resnet50.build()


def test_resnet50_has_the_published_number_of_parameters(resnet):
    assert resnet.count_params() == 25_636_712
    assert (resnet.input_shape, resnet.output_shape) == ((None, 224, 224, 3), (None, 1000))


def test_resnet50_reads_weights_in_the_published_format(resnet, tmp_path):
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    bias = resnet.get_layer("predictions").bias
    bias.assign(np.arange(1000, dtype=np.float32))
    path = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, resnet)
    bias.assign(np.zeros(1000, np.float32))
    resnet50.load_weights(resnet, path)
    np.testing.assert_array_equal(bias, np.arange(1000))


def other_network(path, keras):
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


def no_hdf5(path, keras):
    del keras
    path.write_bytes(b"not hdf5")


@pytest.mark.parametrize("write", [other_network, no_hdf5])
def test_a_file_without_resnet50_weights_is_refused(write, resnet, keras, tmp_path):
    path = tmp_path / "weights.h5"
    write(path, keras)
    with pytest.raises(ModelInvalid, match=r"weights\.h5 holds no ResNet50 weights"):
        resnet50.load_weights(resnet, path)
