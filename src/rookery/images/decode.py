"""Encoded bytes to the RGB pixels of a model's input size: the only module that decodes images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rookery.images.limits import ImageLimits
from rookery.images.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the sender's image is: its format, and its size in pixels as it is meant to be seen."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """Pixels of shape (height, width, 3), uint8, in the model's size and color order."""

    pixels: NDArray[np.uint8]
    info: ImageInfo


def decode(data: bytes, target: Preprocessing, limits: ImageLimits) -> DecodedImage:
    """Decode *data* and bring it to the size *target* declares.

    Raises:
        ImageEmpty, ImageUndecodable, ImageTooLarge, FormatNotAllowed
    """
    raise NotImplementedError
