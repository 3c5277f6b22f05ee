"""GoogLeNet, the first Inception network, as its paper has it: with local response normalization.

Szegedy et al. 2014, "Going Deeper with Convolutions", table 1. The auxiliary classifiers only
help training and are left out. What the paper leaves open is as in BVLC's `bvlc_googlenet` for
Caffe, whose weights these are: a padding of 3 on every side of the first convolution, biases, and
`lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }` behind the first pooling and the third
convolution, with Caffe's default k = 1.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rookery.backends.savedmodel import import_tensorflow
from rookery.errors import ModelInvalid
from rookery.images.preprocessing import Preprocessing
from rookery.zoo import caffemodel, keras_weights
from rookery.zoo.download import Checksum, RemoteFile
from rookery.zoo.imagenet import CLASSES

if TYPE_CHECKING:
    import keras

# As OpenCV's samples feed it: the whole picture, BGR, minus BVLC's mean color.
PREPROCESSING: Final = Preprocessing(
    height=224,
    width=224,
    resize="squash",
    interpolation="bilinear",
    color_order="BGR",
    mean=(104.0, 117.0, 123.0),
)

# The address and the hash are the ones in BVLC's readme, which publishes sha1 only.
WEIGHTS: Final = RemoteFile(
    url="http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
    checksum=Checksum("sha1", "405fc5acd08a3bb12de8ee5e23a96bec22f08204"),
    max_bytes=60 * 1024 * 1024,
)

# Caffe divides alpha by the window's size, TensorFlow does not.
_LRN_RADIUS: Final = 2
_LRN_ALPHA: Final = 1e-4 / (2 * _LRN_RADIUS + 1)
_LRN_BETA: Final = 0.75
_LRN_BIAS: Final = 1.0

_CAFFE_ONLY: Final = ("loss1/", "loss2/")  # the auxiliary classifiers
_DROPPED: Final = 0.4


class Module(NamedTuple):
    """The filters of an inception module, as table 1 names them; 0 makes none."""

    name: str
    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pooled: int


# Groups of modules with a pooling by 2 between them.
MODULES: Final[tuple[tuple[Module, ...], ...]] = (
    (
        Module("3a", 64, 96, 128, 16, 32, 32),
        Module("3b", 128, 128, 192, 32, 96, 64),
    ),
    (
        Module("4a", 192, 96, 208, 16, 48, 64),
        Module("4b", 160, 112, 224, 24, 64, 64),
        Module("4c", 128, 128, 256, 24, 64, 64),
        Module("4d", 112, 144, 288, 32, 64, 64),
        Module("4e", 256, 160, 320, 32, 128, 128),
    ),
    (
        Module("5a", 256, 160, 320, 32, 128, 128),
        Module("5b", 384, 192, 384, 48, 128, 128),
    ),
)


def build() -> "keras.Model":
    """Return the network: (batch, 224, 224, 3) float32 to (batch, 1000) probabilities.

    Layers carry the names that Caffe's have, with dots for slashes.
    """
    tf = import_tensorflow()
    from keras import Input, Model, layers  # noqa: PLC0415 - takes seconds

    def convolve(
        x: "keras.KerasTensor", name: str, filters: int, kernel: int
    ) -> "keras.KerasTensor":
        return layers.Conv2D(
            filters,
            kernel,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=name,
        )(x)

    def normalize(x: "keras.KerasTensor", name: str) -> "keras.KerasTensor":
        return layers.Lambda(
            lambda tensor: tf.nn.local_response_normalization(
                tensor, _LRN_RADIUS, _LRN_BIAS, _LRN_ALPHA, _LRN_BETA
            ),
            name=name,
        )(x)

    def halve(x: "keras.KerasTensor", name: str) -> "keras.KerasTensor":
        # Caffe rounds the size of what is pooled up; for even sizes this is the same.
        return layers.MaxPooling2D(3, 2, padding="same", name=name)(x)

    def inception(x: "keras.KerasTensor", module: Module) -> "keras.KerasTensor":
        prefix = f"inception_{module.name}"
        reduced3 = convolve(x, f"{prefix}.3x3_reduce", module.three_reduce, 1)
        reduced5 = convolve(x, f"{prefix}.5x5_reduce", module.five_reduce, 1)
        pooled = layers.MaxPooling2D(3, 1, padding="same", name=f"{prefix}.pool")(x)
        branches = [
            convolve(x, f"{prefix}.1x1", module.one, 1),
            convolve(reduced3, f"{prefix}.3x3", module.three, 3),
            convolve(reduced5, f"{prefix}.5x5", module.five, 5),
            convolve(pooled, f"{prefix}.pool_proj", module.pooled, 1),
        ]
        return layers.Concatenate(name=f"{prefix}.output")(branches)

    image = Input((PREPROCESSING.height, PREPROCESSING.width, 3), name="image")
    x = layers.ZeroPadding2D(3)(image)
    x = layers.Conv2D(
        64, 7, 2, activation="relu", kernel_initializer="he_normal", name="conv1.7x7_s2"
    )(x)
    x = normalize(halve(x, "pool1.3x3_s2"), "pool1.norm1")
    x = convolve(x, "conv2.3x3_reduce", 64, 1)
    x = normalize(convolve(x, "conv2.3x3", 192, 3), "conv2.norm2")
    for group, number in zip(MODULES, (2, 3, 4), strict=True):
        x = halve(x, f"pool{number}.3x3_s2")
        for module in group:
            x = inception(x, module)
    x = layers.GlobalAveragePooling2D(name="pool5.7x7_s1")(x)
    x = layers.Dropout(_DROPPED, name="pool5.drop_7x7_s1")(x)
    x = layers.Dense(CLASSES, activation="softmax", name="loss3.classifier")(x)
    return Model(image, x, name="googlenet")


def load_weights(model: "keras.Model", path: Path) -> None:
    """Load a `.caffemodel`, or an HDF5 file as Keras saves it, into *model*.

    Raises:
        ModelInvalid: it is neither, or another network's; the first tensor that does not fit is
            named.
    """
    match path.suffix:
        case ".caffemodel":
            caffemodel.load_weights(model, path, ignored=_CAFFE_ONLY)
        case ".h5" | ".keras":
            keras_weights.load_weights(model, path)
        case _:
            raise ModelInvalid(
                f"{path} is no file of weights for googlenet, which takes .caffemodel and .h5; "
                "TF-Slim's checkpoint (.ckpt, frozen .pb) is another network: "
                "rookery models pull inception-v1; "
                "a frozen graph is served as it is by: rookery models import"
            )
