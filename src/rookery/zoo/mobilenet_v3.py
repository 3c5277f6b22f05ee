"""MobileNetV3-Large as Keras Applications publishes it, with the weights trained on ImageNet."""

from typing import TYPE_CHECKING, Final

from rookery.images.preprocessing import Preprocessing
from rookery.zoo.download import Checksum, RemoteFile

if TYPE_CHECKING:
    import keras

# What Keras would put into the network as a Rescaling layer: pixels from -1 to 1.
PREPROCESSING: Final = Preprocessing(
    height=224,
    width=224,
    resize="squash",
    interpolation="bicubic",
    mean=(127.5, 127.5, 127.5),
    scale=(127.5, 127.5, 127.5),
)

# The address and the hash are the ones in keras.applications.mobilenet_v3; Keras publishes md5.
WEIGHTS: Final = RemoteFile(
    url=(
        "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v3/"
        "weights_mobilenet_v3_large_224_1.0_float.h5"
    ),
    checksum=Checksum("md5", "59e551e166be033d707958cf9e29a6a7"),
    max_bytes=30 * 1024 * 1024,
)


def build() -> "keras.Model":
    """Return the network: (batch, 224, 224, 3) float32 to (batch, 1000) probabilities."""
    import keras  # noqa: PLC0415 - takes seconds

    return keras.applications.MobileNetV3Large(
        weights=None,
        input_shape=(PREPROCESSING.height, PREPROCESSING.width, 3),
        include_preprocessing=False,
    )
