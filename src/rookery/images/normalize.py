"""Pixels to the numbers a model takes: the one place where mean and scale are applied."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rookery.images.preprocessing import Preprocessing


def normalize(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return ``(pixels - mean) / scale`` per channel.

    Takes uint8 of shape (height, width, 3) and returns a new float32 array of the same shape,
    C-contiguous, in the same color order.
    """
    height, width, channels = pixels.shape
    offset, factor = _row(preprocessing.mean, preprocessing.scale, width)
    rows = pixels.reshape(height, width * channels)
    out = np.empty(rows.shape, np.float32)
    # Whole rows, not triplets: numpy broadcasts along 3 channels several times slower.
    np.subtract(rows, offset, out=out, dtype=np.float32)
    if factor is not None:
        np.multiply(out, factor, out=out)
    return out.reshape(height, width, channels)


@lru_cache(maxsize=8)
def _row(
    mean: tuple[float, float, float], scale: tuple[float, float, float], width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """One row's offsets, and its factors or None where they are all 1."""
    offset = np.tile(np.asarray(mean, np.float32), width)
    if scale == (1.0, 1.0, 1.0):
        return offset, None
    return offset, np.tile(np.float32(1) / np.asarray(scale, np.float32), width)
