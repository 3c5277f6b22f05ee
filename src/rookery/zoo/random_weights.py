"""Weights that have learned nothing but answer every image differently: for tests and for speed.

What Keras initializes will not do: a deep network of such weights sees the same in every image,
to the ninth decimal, and a comparison of two backends would compare nothing.
"""

from math import prod, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    import keras

_SEED: Final = 0
_IMAGES: Final = 4
_COLORS: Final = 3
_CONTRAST: Final = 30.0  # grey levels per octave
# More would also spread what the libraries round differently: a deep network that has learned
# nothing amplifies it, and backends that are right would seem not to agree.
_LOGIT_SPREAD: Final = 0.5


def randomize(model: "keras.Model", preprocessing: Preprocessing) -> None:
    """Fill *model*, a classifier ending in a softmax, with random weights: the same every time.

    Batch normalization gets the statistics of random images, and the last layer such weights that
    the logits of those images differ by about a half.
    """
    import keras  # noqa: PLC0415 - takes seconds

    generator = np.random.default_rng(_SEED)
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(_values(generator, weight.name, tuple(weight.shape)))
    images = np.stack([_image(generator, preprocessing) for _ in range(_IMAGES)])
    _measure(model, images)
    last = [layer for layer in model.layers if layer.weights][-1]
    features = keras.Model(model.inputs[0], last.input)(images, training=False)
    _spread(last, np.asarray(features).reshape(_IMAGES, -1))


def _values(
    generator: np.random.Generator, name: str, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    match name:
        case "kernel":
            # As He et al. 2015 have it; a depthwise kernel, (h, w, channels, 1), looks at one
            # channel only.
            depthwise = len(shape) == 4 and shape[3] == 1  # noqa: PLR2004
            seen = prod(shape[:2]) if depthwise else prod(shape[:-1])
            values = generator.normal(0, sqrt(2 / seen), shape)
            if not depthwise and shape[-2] != _COLORS:
                # All inputs shift together from one picture to the next; through tens of layers
                # that would outgrow everything else.
                values -= values.mean(axis=tuple(range(len(shape) - 1)))
        case "gamma" | "moving_variance":
            values = generator.uniform(0.8, 1.2, shape)
        case _:
            values = generator.normal(0, 0.1, shape)
    return values.astype(np.float32)


def _image(generator: np.random.Generator, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return a picture with the same contrast in every octave, as photographs have it."""
    size = (preprocessing.height, preprocessing.width)
    pixels = np.full((*size, _COLORS), 128.0)
    blocks = 2
    while blocks <= max(size):
        values = generator.normal(0, _CONTRAST, (blocks, blocks, _COLORS))
        rows, columns = (np.arange(side) * blocks // side for side in size)
        pixels += values[rows][:, columns]
        blocks *= 2
    return normalize(pixels.clip(0, 255).astype(np.uint8), preprocessing)


def _measure(model: "keras.Model", images: NDArray[np.float32]) -> None:
    """Give every batch normalization the mean and the variance of what *images* bring to it."""
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def _spread(last: "keras.Layer", features: NDArray[np.float32]) -> None:
    """Center and scale the logits that *last* makes of *features*, (images, channels)."""
    kernel = np.asarray(last.kernel)
    flat = kernel.reshape(-1, kernel.shape[-1])
    mean = features.mean(axis=0)
    factor = _LOGIT_SPREAD / max(float(((features - mean) @ flat).std()), 1e-12)
    last.kernel.assign(kernel * factor)
    last.bias.assign(-(mean @ flat) * factor)
