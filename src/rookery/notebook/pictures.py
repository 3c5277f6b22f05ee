"""Whatever a person has of a picture, as the encoded bytes that the one decoder takes; and back.

Arrays and Pillow's images become PNG, which loses nothing, so that every picture goes the same way.
"""

from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rookery.errors import ImageEmpty, ImageUndecodable


class Readable(Protocol):
    """A file that was opened for reading bytes, or anything that reads like one."""

    def read(self) -> bytes:
        """Return the rest of it."""
        ...


Picture: TypeAlias = str | PathLike[str] | bytes | Image.Image | NDArray[np.uint8] | Readable

_AXES: Final = (2, 3)  # grey, or with channels
_CHANNELS: Final = (1, 3, 4)
_PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
_NUMBERS: Final = {"F": "floating-point numbers", "I": "32-bit integers"}


def encoded(picture: Picture) -> bytes:
    """Return *picture* as the bytes of an image file.

    A path is read, a file is read to its end, bytes are taken as they are. An array is uint8 of
    shape (height, width), or (height, width, channels) with 1, 3 or 4 channels: grey, RGB, RGBA.

    Raises:
        OSError: the file cannot be read.
        ImageEmpty: the PIL image has no pixels.
        ImageUndecodable: the array has another shape or type, the PIL image numbers, not colors.
        TypeError: it is nothing of all these.
    """
    if isinstance(picture, str | PathLike):
        return Path(picture).read_bytes()
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, np.ndarray):
        return _png(_from_array(picture))
    if isinstance(picture, Image.Image):
        return _png(_storable(ImageOps.exif_transpose(picture)))
    if hasattr(picture, "read"):
        return _all_of(picture)
    raise TypeError(
        f"a picture is a path, bytes, an open file, a PIL image or a uint8 array, "
        f"not {type(picture).__name__}"
    )


def said(picture: Picture) -> str:
    """Name *picture* in a message."""
    if isinstance(picture, str | PathLike):
        return str(picture)
    if isinstance(picture, bytes | bytearray | memoryview):
        return f"{len(picture):,} bytes"
    return str(getattr(picture, "name", "") or type(picture).__name__)


def to_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode RGB *pixels* of shape (height, width, 3) so that a browser can show them."""
    return _png(Image.fromarray(pixels), compress_level=6)


def _from_array(array: NDArray[np.uint8]) -> Image.Image:
    if array.dtype != np.uint8:
        raise ImageUndecodable(
            f"the array is {array.dtype}, pixels are uint8 in 0..255; if yours are in 0..1, pass "
            "(array * 255).astype('uint8')"
        )
    if (
        array.ndim not in _AXES
        or 0 in array.shape
        or array.shape[2:] not in {(), *((channels,) for channels in _CHANNELS)}
    ):
        several = "; pass list(array) for several" if array.ndim > max(_AXES) else ""
        raise ImageUndecodable(
            f"the array's shape is {array.shape}, a picture is (height, width) or (height, width, "
            f"channels) with 1, 3 or 4 channels{several}"
        )
    return Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array)


def _storable(image: Image.Image) -> Image.Image:
    """Return *image* in a mode that PNG has."""
    mode = image.mode
    if 0 in image.size:
        raise ImageEmpty(f"the PIL image has no pixels: it is {image.width} x {image.height}")
    if mode in _PNG_MODES:
        return image
    if mode in _NUMBERS:
        raise ImageUndecodable(
            f"the PIL image holds {_NUMBERS[mode]} (mode {mode}), and nothing says what is white; "
            "scale them to 0..255 and convert it to mode L"
        )
    if mode.startswith("I;"):
        # Pillow writes and converts only one order of the bytes right.
        return Image.fromarray(np.asarray(image).astype("<u2"))
    if mode == "La":
        return image.convert("LA")  # the only mode it converts to
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _png(image: Image.Image, compress_level: int = 0) -> bytes:
    written = BytesIO()
    image.save(written, "PNG", compress_level=compress_level)
    return written.getvalue()


def _all_of(file: Readable) -> bytes:
    content = file.read()
    if not isinstance(content, bytes):
        raise TypeError(f"{said(file)} is opened as text; open it with mode 'rb'")
    return content
