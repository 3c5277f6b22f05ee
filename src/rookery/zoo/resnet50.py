"""ResNet50 as Keras Applications publishes it, with the weights trained on ImageNet."""

from typing import TYPE_CHECKING, Final

from rookery.images.preprocessing import Preprocessing
from rookery.zoo.download import Checksum, RemoteFile

if TYPE_CHECKING:
    import keras

# Keras' "caffe" preprocessing: BGR, the mean of ImageNet subtracted, not scaled.
PREPROCESSING: Final = Preprocessing(
    height=224,
    width=224,
    resize="squash",
    interpolation="bicubic",
    color_order="BGR",
    mean=(103.939, 116.779, 123.68),
)

# The address and the hash are the ones in keras.applications.resnet; Keras publishes md5 only.
WEIGHTS: Final = RemoteFile(
    url=(
        "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
        "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
    ),
    checksum=Checksum("md5", "2cb95161c43110f7111970584f804107"),
    max_bytes=110 * 1024 * 1024,
)


def build() -> "keras.Model":
    """Return the network: (batch, 224, 224, 3) float32 to (batch, 1000) probabilities."""
    import keras  # noqa: PLC0415 - takes seconds

    return keras.applications.ResNet50(weights=None)
