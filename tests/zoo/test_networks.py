"""The architectures, and how weights get into them."""

import numpy as np
import pytest

from rookery.errors import ModelInvalid
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing
from rookery.zoo import efficientnet_lite0
from rookery.zoo.catalog import ZOO
from rookery.zoo.random_weights import randomize

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


# --- every network -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[name for name in ZOO if ZOO[name].network is not None])
def built(request, keras):
    """A model of the catalog, and its network as Keras builds it."""
    del keras
    model = ZOO[request.param]
    return model, model.network.build()


def test_a_network_takes_the_images_of_its_card_and_gives_a_thousand_classes(built):
    model, network = built
    size = (model.card.input.height, model.card.input.width)
    assert network.input_shape == (None, *size, 3)
    assert network.output_shape == (None, 1000)


def test_the_catalog_knows_how_many_parameters_a_network_has(built):
    model, network = built
    assert network.count_params() == model.card.parameters


def operations(layer):
    """The multiplications and additions of a layer for one image, each counted as one."""
    if type(layer).__name__ not in {"Conv2D", "DepthwiseConv2D", "Dense"}:
        return 0
    places = np.prod(layer.output.shape[1:-1], initial=1)
    return int(2 * np.prod(layer.kernel.shape) * places)


def test_the_catalog_knows_what_an_image_costs(built):
    model, network = built
    counted = sum(operations(layer) for layer in network.layers) / 1e9
    assert model.card.gflops == pytest.approx(counted, abs=0.005)


# One without batch normalization, the deepest, and the one that Keras leaves blind.
@pytest.mark.parametrize("name", ["googlenet", "inception-v3", "mobilenet-v3"])
def test_random_weights_see_a_difference_between_photographs(name, keras, photographs):
    del keras
    preprocessing = ZOO[name].card.input
    network = ZOO[name].network.build()
    randomize(network, preprocessing)
    batch = np.stack(
        [
            normalize(decode(data, preprocessing, ImageLimits()).pixels, preprocessing)
            for data in photographs.values()
        ]
    )
    answers = np.asarray(network(batch, training=False))
    assert len(set(answers.argmax(axis=1))) == len(photographs)
    assert np.isfinite(answers).all()


def test_random_weights_are_the_same_every_time(keras):
    networks = []
    for _ in range(2):
        layers = [keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()]
        layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4, "softmax")]
        networks.append(keras.Sequential([keras.Input((8, 8, 3)), *layers]))
        randomize(networks[-1], Preprocessing(height=8, width=8))
    for one, other in zip(networks[0].weights, networks[1].weights, strict=True):
        np.testing.assert_array_equal(one, other)
