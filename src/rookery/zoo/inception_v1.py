"""Inception v1 as TF-Slim trained it: GoogLeNet's modules, but not its other layers.

Batch normalization stands in for local response normalization and for biases, and what table 1
calls 5x5 is a 3x3 convolution (`inception_v1.py` of TensorFlow's slim models). That makes it
another network than `googlenet`: neither takes the other's weights.
"""

from typing import TYPE_CHECKING, Final

from rookery.images.preprocessing import Preprocessing
from rookery.zoo.googlenet import MODULES, Module
from rookery.zoo.imagenet import CLASSES

if TYPE_CHECKING:
    import keras

# TF-Slim's own for evaluation: the middle 87.5 % of the picture, pixels from -1 to 1.
PREPROCESSING: Final = Preprocessing(
    height=224,
    width=224,
    resize="center-crop",
    crop_fraction=0.875,
    interpolation="bilinear",
    mean=(127.5, 127.5, 127.5),
    scale=(127.5, 127.5, 127.5),
)

WEIGHTS_URL: Final = "http://download.tensorflow.org/models/inception_v1_2016_08_28.tar.gz"
SCOPE: Final = "InceptionV1"

_EPSILON: Final = 1e-3
_DROPPED: Final = 0.2


def build() -> "keras.Model":
    """Return the network: (batch, 224, 224, 3) float32 to (batch, 1000) probabilities.

    Layers carry the names of TF-Slim's scopes below `InceptionV1`, with dots for slashes.
    """
    from keras import Input, Model, layers  # noqa: PLC0415 - takes seconds

    def convolve(
        x: "keras.KerasTensor", name: str, filters: int, kernel: int, stride: int = 1
    ) -> "keras.KerasTensor":
        x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(scale=False, epsilon=_EPSILON, name=f"{name}.BatchNorm")(x)
        return layers.ReLU()(x)

    def halve(x: "keras.KerasTensor", window: int) -> "keras.KerasTensor":
        return layers.MaxPooling2D(window, 2, padding="same")(x)

    def inception(x: "keras.KerasTensor", prefix: str, module: Module) -> "keras.KerasTensor":
        reduced1 = convolve(x, f"{prefix}.Branch_1.Conv2d_0a_1x1", module.three_reduce, 1)
        reduced2 = convolve(x, f"{prefix}.Branch_2.Conv2d_0a_1x1", module.five_reduce, 1)
        pooled = layers.MaxPooling2D(3, 1, padding="same")(x)
        # Not a slip here but there: one of the nine modules names this layer 0a, too.
        letter = "a" if prefix == "Mixed_5b" else "b"
        branches = [
            convolve(x, f"{prefix}.Branch_0.Conv2d_0a_1x1", module.one, 1),
            convolve(reduced1, f"{prefix}.Branch_1.Conv2d_0b_3x3", module.three, 3),
            convolve(reduced2, f"{prefix}.Branch_2.Conv2d_0{letter}_3x3", module.five, 3),
            convolve(pooled, f"{prefix}.Branch_3.Conv2d_0b_1x1", module.pooled, 1),
        ]
        return layers.Concatenate()(branches)

    image = Input((PREPROCESSING.height, PREPROCESSING.width, 3), name="image")
    x = halve(convolve(image, "Conv2d_1a_7x7", 64, 7, 2), 3)
    x = convolve(x, "Conv2d_2b_1x1", 64, 1)
    x = convolve(x, "Conv2d_2c_3x3", 192, 3)
    for group, stage, window in zip(MODULES, "345", (3, 3, 2), strict=True):
        x = halve(x, window)
        for module, letter in zip(group, "bcdef", strict=False):
            x = inception(x, f"Mixed_{stage}{letter}", module)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(_DROPPED)(x)
    x = layers.Dense(CLASSES, activation="softmax", name="Logits.Conv2d_0c_1x1")(x)
    return Model(image, x, name="inception-v1")
