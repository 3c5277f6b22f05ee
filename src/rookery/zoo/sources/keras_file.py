"""A whole Keras model, a .keras or an .h5 file, to a SavedModel of ours."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from rookery.backends.protocol import Signature, TensorSpec
from rookery.backends.savedmodel import SavedFunction, first_line, import_tensorflow
from rookery.errors import ModelInvalid
from rookery.zoo.sources.keras_config import check_keras_file
from rookery.zoo.sources.tensorflow_source import TensorFlowSource

if TYPE_CHECKING:
    import keras
    from tensorflow import Tensor

_ONLY_OUTPUT: Final = "scores"


def open_keras(path: Path) -> TensorFlowSource:
    """Load the model in the file *path*.

    Raises:
        ModelInvalid: it is damaged, holds weights only, or has Python code in it.
    """
    import_tensorflow()  # before Keras does it, loudly
    check_keras_file(path)
    import keras  # noqa: PLC0415 - takes seconds

    try:
        # Safe mode refuses layers that carry Python code.
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras has no error type of its own for a damaged file.
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,
        NotImplementedError,
    ) as exc:
        raise ModelInvalid(f"Keras cannot load {path}: {first_line(exc)}") from exc
    return TensorFlowSource(_function(model, path), [weight.value for weight in model.weights])


def _function(model: "keras.Model", path: Path) -> SavedFunction:
    tf = import_tensorflow()
    if not model.inputs or not model.outputs:
        raise ModelInvalid(
            f"{path} does not say what its model takes; call the model on an image before saving it"
        )
    names = (_ONLY_OUTPUT,) if len(model.outputs) == 1 else tuple(model.output_names)
    signature = Signature(
        inputs=tuple(_spec(tensor.name, tensor) for tensor in model.inputs),
        outputs=tuple(
            TensorSpec(name, "float32", tuple(tensor.shape))
            for name, tensor in zip(names, model.outputs, strict=True)
        ),
    )

    def call(image: "Tensor") -> "dict[str, Tensor]":
        outputs = tf.nest.flatten(model(image, training=False))
        # A model of mixed precision answers in float16.
        return {
            name: tf.cast(output, tf.float32) for name, output in zip(names, outputs, strict=True)
        }

    return SavedFunction(tf, signature, call)


def _spec(name: str, tensor: "keras.KerasTensor") -> TensorSpec:
    return TensorSpec(name, str(tensor.dtype), tuple(tensor.shape))
