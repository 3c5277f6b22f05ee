"""Which part of a picture becomes the model's input, and how far it may be scaled on the way.

Everything here is a function of numbers: no pixels, no decoder.
"""

from math import ceil
from typing import Final, NamedTuple

from rookery.images.preprocessing import Preprocessing


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def transposed(self) -> "Size":
        """The size after a quarter turn."""
        return Size(self.height, self.width)


class Box(NamedTuple):
    """A region in pixels, fractions allowed: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Right minus left."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Bottom minus top."""
        return self.bottom - self.top


# EXIF orientations 5 to 8 lie on their side: CIPA DC-008, section 4.6.5.1 (Orientation).
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})


def is_sideways(orientation: int) -> bool:
    """Whether an EXIF *orientation* swaps width and height."""
    return orientation in _SIDEWAYS


def crop_box(size: Size, output: Size, target: Preprocessing) -> Box:
    """Return the region of a picture of *size* that is resized to *output*.

    Squash takes all of it. Center-crop takes the largest middle region with the shape of
    *output*, shrunk by the crop fraction. The region is symmetric, so it is the same one
    before and after any EXIF orientation, as long as *output* is turned with the picture.
    """
    if target.resize == "squash":
        return Box(0, 0, size.width, size.height)
    unit = target.crop_fraction * min(size.width / output.width, size.height / output.height)
    width, height = unit * output.width, unit * output.height
    left, top = (size.width - width) / 2, (size.height - height) / 2
    return Box(
        max(left, 0), max(top, 0), min(left + width, size.width), min(top + height, size.height)
    )


def scaled(box: Box, factor: float) -> Box:
    """Return *box* in the coordinates of a picture that is *factor* times as large."""
    return Box(box.left * factor, box.top * factor, box.right * factor, box.bottom * factor)


def smallest_useful(size: Size, box: Box, output: Size, oversampling: float) -> Size:
    """Return the smallest size at which *box* is still *oversampling* times as wide as *output*.

    And as high: a picture of *size* may be decoded at any scale down to this one without ever
    having to be enlarged again. Never larger than *size* itself.
    """
    factor = min(1.0, oversampling * max(output.width / box.width, output.height / box.height))
    return Size(ceil(size.width * factor), ceil(size.height * factor))
