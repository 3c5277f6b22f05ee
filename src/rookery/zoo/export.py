"""A Keras classifier to a SavedModel with one named input and one named output."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from rookery.backends.savedmodel import import_tensorflow
from rookery.errors import ModelInvalid

if TYPE_CHECKING:
    import keras
    from tensorflow import Tensor

SIGNATURE: Final = "serving_default"
INPUT: Final = "image"
_RANK: Final = 4  # (batch, height, width, channels)


def export(model: "keras.Model", directory: Path, *, output: str) -> None:
    """Write *model* into *directory*: `image` (batch, h, w, 3) float32 to *output*, any batch.

    Raises:
        ModelInvalid: the model does not take one batch of images.
    """
    tf = import_tensorflow()
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != _RANK:
        raise ModelInvalid(f"the model must take one batch of images, its input is {shape}")
    spec = tf.TensorSpec((None, *shape[1:]), tf.float32, name=INPUT)

    def serve(image: "Tensor") -> "dict[str, Tensor]":
        return {output: model(image, training=False)}

    module = tf.Module()
    # Not the model itself: its Keras metadata would be saved with it and is of no use to serving.
    module.weights = [weight.value for weight in model.weights]
    function = tf.function(serve, input_signature=[spec])
    tf.saved_model.save(module, str(directory), signatures={SIGNATURE: function})
