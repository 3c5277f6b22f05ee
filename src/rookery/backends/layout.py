"""Where the channels of an image batch stand: last for callers, first for some networks."""

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import TensorSpec
from rookery.models.card import ModelCard


def is_planar(spec: TensorSpec, card: ModelCard) -> bool:
    """Whether the input *spec* takes the card's image as (batch, 3, height, width).

    Where both ways fit, as with an image 3 pixels high and wide, it does not.
    """
    size = (card.input.height, card.input.width)
    return _fits(spec.shape, (3, *size)) and not _fits(spec.shape, (*size, 3))


def interleaved(spec: TensorSpec) -> TensorSpec:
    """Describe the planar input *spec* as callers give it: (batch, height, width, 3)."""
    batch, channels, height, width = spec.shape
    return TensorSpec(spec.name, spec.dtype, (batch, height, width, channels))


def to_planar(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return *batch*, (batch, height, width, 3), in one piece as (batch, 3, height, width)."""
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))


def _fits(shape: tuple[int | None, ...], image: tuple[int, int, int]) -> bool:
    return len(shape) == len(image) + 1 and all(
        found is None or found == expected for found, expected in zip(shape[1:], image, strict=True)
    )
