"""A tiny SavedModel, made once, and its card."""

from pathlib import Path

import pytest

from rookery.images.preprocessing import Preprocessing
from rookery.models.card import ModelCard

CARD = ModelCard(
    name="tiny",
    version=1,
    architecture="mean color",
    license="CC0-1.0",
    source="made for a test",
    format="savedmodel",
    signature="serving_default",
    output="scores",
    activation="probabilities",
    labels="labels.txt",
    classes=3,
    input=Preprocessing(height=8, width=6),
)


@pytest.fixture(scope="session")
def card() -> ModelCard:
    return CARD


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """(n, 8, 6, 3) float32 to softmax of the mean color, and `mean`, a second output."""
    from rookery.backends.savedmodel import import_tensorflow

    tf = import_tensorflow()
    module = tf.Module()
    module.gain = tf.Variable([1.0, 2.0, 3.0])

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 6, 3), tf.float32, name="image")])
    def serve(image):
        mean = tf.reduce_mean(image, axis=[1, 2])
        return {"scores": tf.nn.softmax(mean * module.gain), "mean": mean}

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 8, 6, 3), tf.float32, name="left"),
            tf.TensorSpec((None, 8, 6, 3), tf.float32, name="right"),
        ]
    )
    def compare(left, right):
        return {"scores": tf.reduce_mean(left - right, axis=[1, 2])}

    directory = tmp_path_factory.mktemp("models") / "tiny"
    signatures = {"serving_default": serve, "compare": compare}
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return directory
