"""A classifier to the files that every backend reads: a SavedModel, and its frozen graph."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from rookery.backends.freezing import INPUT, freeze
from rookery.backends.savedmodel import import_tensorflow
from rookery.errors import ModelInvalid
from rookery.images.preprocessing import Preprocessing
from rookery.models.formats import FILES
from rookery.zoo.in_graph import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import keras
    from tensorflow import Tensor

SIGNATURE: Final = "serving_default"
BYTES_SIGNATURE: Final = "serving_bytes"
BYTES_INPUT: Final = "image_bytes"
_CHANNELS: Final = 3
_RANK: Final = 4  # (batch, height, width, channels)


def export(
    model: "keras.Model", directory: Path, preprocessing: Preprocessing, *, output: str
) -> None:
    """Write *model* into *directory*, as a SavedModel and as `frozen.pb`, for any batch.

    `serving_default` is `image` (batch, h, w, 3) float32 to *output*; `serving_bytes` is
    `image_bytes` (batch,) of encoded images to *output*, with *preprocessing* in the graph. The
    frozen graph is the first of them.

    Raises:
        ModelInvalid: the model does not take one batch of images of the size of *preprocessing*.
    """
    shape = model.input_shape
    size = (preprocessing.height, preprocessing.width, _CHANNELS)
    if not isinstance(shape, tuple) or len(shape) != _RANK:
        raise ModelInvalid(f"the model must take one batch of images, its input is {shape}")
    if any(one not in {None, other} for one, other in zip(shape[1:], size, strict=True)):
        raise ModelInvalid(f"the model takes images of {shape[1:]}, the card says {size}")
    export_function(
        lambda image: model(image, training=False),
        # Not the model itself: its Keras metadata would be saved with it and is of no use.
        [weight.value for weight in model.weights],
        directory,
        preprocessing,
        output=output,
    )


def export_function(
    call: "Callable[[Tensor], Tensor]",
    owned: "Iterable[object]",
    directory: Path,
    preprocessing: Preprocessing,
    *,
    output: str,
) -> None:
    """Write *call*, which reads the variables *owned*, as `export` writes a model.

    Raises:
        ModelInvalid: it cannot be written down as one graph.
    """
    tf = import_tensorflow()
    shape = (None, preprocessing.height, preprocessing.width, _CHANNELS)
    pixels = tf.TensorSpec(shape, tf.float32, name=INPUT)
    encoded = tf.TensorSpec((None,), tf.string, name=BYTES_INPUT)
    # Traced once and called by both: the network is in the file once.
    network = tf.function(call, input_signature=[pixels], autograph=False)

    def serve(image: "Tensor") -> "dict[str, Tensor]":
        return {output: network(image)}

    def serve_bytes(image_bytes: "Tensor") -> "dict[str, Tensor]":
        return {output: network(prepare(image_bytes, preprocessing))}

    module = tf.Module()
    module.owned = list(owned)
    signatures = {
        SIGNATURE: tf.function(serve, input_signature=[pixels], autograph=False),
        BYTES_SIGNATURE: tf.function(serve_bytes, input_signature=[encoded], autograph=False),
    }
    tf.saved_model.save(module, str(directory), signatures=signatures)
    graph = freeze(network, shape, output)
    (directory / FILES["frozen"]).write_bytes(graph.SerializeToString())
