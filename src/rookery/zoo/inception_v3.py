"""Inception v3 as Keras Applications publishes it, with the weights trained on ImageNet."""

from typing import TYPE_CHECKING, Final

from rookery.images.preprocessing import Preprocessing
from rookery.zoo.download import Checksum, RemoteFile

if TYPE_CHECKING:
    import keras

# Keras' "tf" preprocessing: pixels from -1 to 1.
PREPROCESSING: Final = Preprocessing(
    height=299,
    width=299,
    resize="squash",
    interpolation="bicubic",
    mean=(127.5, 127.5, 127.5),
    scale=(127.5, 127.5, 127.5),
)

# The address and the hash are the ones in keras.applications.inception_v3; Keras publishes md5.
WEIGHTS: Final = RemoteFile(
    url=(
        "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
        "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"
    ),
    checksum=Checksum("md5", "9a0d58056eeedaa3f26cb7ebd46da564"),
    max_bytes=110 * 1024 * 1024,
)


def build() -> "keras.Model":
    """Return the network: (batch, 299, 299, 3) float32 to (batch, 1000) probabilities."""
    import keras  # noqa: PLC0415 - takes seconds

    return keras.applications.InceptionV3(weights=None)
