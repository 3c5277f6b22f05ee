"""A Keras classifier to a SavedModel with one named input and one named output."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import keras

SIGNATURE: Final = "serving_default"
INPUT: Final = "image"


def quiet_tensorflow() -> None:
    """Keep TensorFlow's start-up log off the terminal, unless the environment asks for it.

    Works only before TensorFlow is first imported: its C++ side reads the variable then.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def export(model: "keras.Model", directory: Path, *, output: str) -> None:
    """Write *model* into *directory*: `image` (batch, h, w, 3) float32 to *output*, any batch."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    height, width, channels = model.input_shape[1:]
    spec = tf.TensorSpec((None, height, width, channels), tf.float32, name=INPUT)

    @tf.function(input_signature=[spec])
    def serve(image: "tf.Tensor") -> "dict[str, tf.Tensor]":
        return {output: model(image, training=False)}

    module = tf.Module()
    # Not the model itself: its Keras metadata would be saved with it and is of no use to serving.
    module.weights = [weight.value for weight in model.weights]
    tf.saved_model.save(module, str(directory), signatures={SIGNATURE: serve})
