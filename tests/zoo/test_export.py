"""What is exported gives the same wherever it runs."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rookery.backends.registry import create_backend
from rookery.errors import ModelInvalid
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing
from rookery.models.card import ModelCard
from rookery.zoo.export import export

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

CARD = ModelCard(
    name="small",
    version=1,
    architecture="three convolutions",
    license="CC0-1.0",
    source="made for a test",
    format="savedmodel",
    other_formats=("frozen",),
    signature="serving_default",
    output="probabilities",
    activation="probabilities",
    labels="labels.txt",
    classes=5,
    input=Preprocessing(
        height=32, width=40, color_order="BGR", mean=(90.0, 100.0, 110.0), scale=(60.0, 60.0, 60.0)
    ),
)


def small_network(keras, size=(32, 40)):
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((*size, 3)),
            layers.Conv2D(8, 3, 2, padding="same", bias_initializer="normal", use_bias=True),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(5, kernel_initializer=keras.initializers.RandomNormal(stddev=3.0)),
            layers.Softmax(),
        ]
    )
    for weight in model.weights:
        if "moving_variance" in weight.path:
            weight.assign(np.linspace(0.1, 2, 8))
    return model


@pytest.fixture(scope="module")
def keras():
    from rookery.backends.savedmodel import import_tensorflow

    import_tensorflow()
    import keras

    return keras


@pytest.fixture(scope="module")
def exported(keras, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export(small_network(keras), folder, CARD.input, output=CARD.output)
    return folder


@pytest.fixture(scope="module")
def pictures(photographs) -> list[bytes]:
    files = []
    for name in sorted(photographs):
        stream = BytesIO()
        Image.open(BytesIO(photographs[name])).resize((90, 71)).save(stream, "PNG")
        files.append(stream.getvalue())
    return files


@pytest.fixture(scope="module")
def batch(pictures):
    return np.stack(
        [
            normalize(decode(picture, CARD.input, ImageLimits()).pixels, CARD.input)
            for picture in pictures
        ]
    )


@pytest.fixture(scope="module")
def reference(exported, batch):
    return create_backend("tensorflow").load(exported, CARD)(batch)[CARD.output]


def test_the_pictures_get_different_answers(reference):
    assert np.abs(reference[0] - reference[1]).max() > 0.05
    np.testing.assert_allclose(reference.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("library", ["openvino", "opencv", "tensorflow-frozen"])
def test_every_backend_gives_the_same(library, exported, batch, reference):
    found = create_backend(library).load(exported, CARD)(batch)[CARD.output]
    np.testing.assert_allclose(found, reference, atol=1e-5)


def test_encoded_images_are_classified_in_the_graph(exported, pictures, reference):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exported))
    found = loaded.signatures["serving_bytes"](image_bytes=tf.constant(pictures))
    np.testing.assert_allclose(found[CARD.output].numpy(), reference, atol=5e-3)


def test_the_frozen_graph_is_nothing_but_the_network(exported):
    from tensorflow.core.framework.graph_pb2 import GraphDef

    graph = GraphDef.FromString((exported / "frozen.pb").read_bytes())
    names = [node.name for node in graph.node]
    assert "image" in names
    assert CARD.output in names
    # Batch normalization is folded into constants; nothing of training is left.
    assert {node.op for node in graph.node} <= {
        *("Placeholder", "Const", "Identity", "Conv2D", "BiasAdd", "AddV2", "Relu6"),
        *("DepthwiseConv2dNative", "Mean", "MatMul", "Mul", "Softmax"),
    }


@pytest.mark.parametrize("size", [(10, 10), (None, None)])
def test_a_network_of_another_size_is_refused_and_one_of_any_size_gets_the_card_s(
    keras, size, tmp_path
):
    model = small_network(keras, size)
    if size == (10, 10):
        with pytest.raises(ModelInvalid, match=r"takes images of \(10, 10, 3\), the card says"):
            export(model, tmp_path, CARD.input, output=CARD.output)
        return
    export(model, tmp_path, CARD.input, output=CARD.output)
    shape = create_backend("tensorflow").load(tmp_path, CARD).signature.inputs[0].shape
    assert shape == (None, 32, 40, 3)
