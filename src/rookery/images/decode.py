"""Encoded bytes to the RGB pixels of a model's input size: the only module that decodes images."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from rookery.errors import FormatNotAllowed, ImageEmpty, ImageTooLarge, ImageUndecodable
from rookery.images.cost import declared_size, jpeg_scans
from rookery.images.formats import sniff
from rookery.images.geometry import Size, crop_box, is_sideways, scaled, smallest_useful
from rookery.images.info import ImageInfo
from rookery.images.limits import ImageLimits
from rookery.images.preprocessing import Preprocessing

# The file classes themselves, not Image.open: it warns or raises by a process-wide pixel limit
# that is not ours, and turns an iPhone's JPEG into the format MPO.
_OPENERS: Final[dict[str, Callable[[BytesIO], ImageFile]]] = {
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
}

# What Pillow's five decoders raise on damaged bytes. The first three are all that half a million
# mutated files raised; the others stand in code paths that read short or lying headers.
_DAMAGED: Final = (
    OSError,
    SyntaxError,  # Pillow's "not identified"
    ValueError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    struct.error,
    zlib.error,
)

_ORIENTATION: Final = 0x0112
_UPRIGHT: Final[dict[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FILTERS: Final = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# A JPEG scaled by its decoder keeps at least this many times the output, and the exact filter does
# the rest. Down to the output's own size, what a decoder leaves is sharper than what a filter does,
# and a class that led by 15 points of probability was seen to change; `scripts/bench quality`.
_OVERSAMPLING: Final = 2.0
# Very large pictures are first averaged down to this many times the output: within one grey
# level of the exact filter, and several times faster.
_REDUCING_GAP: Final = 4.0
_MAX_SCANS: Final = 100  # ordinary progressive files have about ten
_SHOWN_BYTES: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """Pixels of shape (height, width, 3), uint8, in the model's size and color order."""

    pixels: NDArray[np.uint8]
    info: ImageInfo


def decode(data: bytes, target: Preprocessing, limits: ImageLimits) -> DecodedImage:
    """Decode *data* and bring it to the size *target* declares.

    The first frame of an animation counts. EXIF orientation is applied, transparency is
    composited on white, 16-bit samples keep their upper 8 bits. The pixels are read-only.

    Raises:
        ImageEmpty, ImageUndecodable, ImageTooLarge, FormatNotAllowed
    """
    name = _admit(data, limits)
    try:
        with _OPENERS[name](BytesIO(data)) as image:
            size = Size(*image.size)
            _check_size(size, limits)
            orientation = _orientation(image)
            pixels = _render(image, size, orientation, target)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise ImageTooLarge(f"the {name} image declares more pixels than can be decoded") from exc
    except ImageTooLarge:
        raise
    except _DAMAGED as exc:
        raise ImageUndecodable(
            f"the bytes start like {name} but cannot be decoded: {_reason(exc)}"
        ) from exc
    seen = size.transposed if is_sideways(orientation) else size
    return DecodedImage(pixels, ImageInfo(name, seen.width, seen.height))


def _admit(data: bytes, limits: ImageLimits) -> str:
    """Return the format of *data*, having refused what need not be opened to be refused."""
    if not data:
        raise ImageEmpty("there are no bytes to decode; the body or object is empty")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the image is {len(data):,} bytes, the limit is {limits.max_bytes:,}")
    name = sniff(data)
    if name is None:
        raise ImageUndecodable(
            f"the bytes are no image: they begin with {data[:_SHOWN_BYTES]!r}; "
            f"send one of {', '.join(limits.formats)}"
        )
    if name not in limits.formats or name not in _OPENERS:
        raise FormatNotAllowed(f"{name} images are not accepted; send {', '.join(limits.formats)}")
    if (size := declared_size(name, data)) is not None:
        _check_size(Size(*size), limits)
    if name == "JPEG" and (scans := jpeg_scans(data)) > _MAX_SCANS:
        raise ImageTooLarge(f"the JPEG image has {scans:,} scans, at most {_MAX_SCANS} are decoded")
    return name


def _check_size(size: Size, limits: ImageLimits) -> None:
    pixels = size.width * size.height
    if pixels > limits.max_pixels:
        raise ImageTooLarge(
            f"the image is {size.width:,} x {size.height:,} = {pixels:,} pixels, "
            f"the limit is {limits.max_pixels:,}; send a smaller one or raise ROOKERY_MAX_PIXELS"
        )


def _orientation(image: ImageFile) -> int:
    """Return the EXIF orientation 1 to 8; without one, or with damaged metadata, 1 is upright."""
    if isinstance(image, PngImageFile):
        # The eXIf chunk may follow the pixels, and a damaged picture is not damaged metadata.
        image.load()
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGED:
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def _render(
    image: ImageFile, size: Size, orientation: int, target: Preprocessing
) -> NDArray[np.uint8]:
    output = Size(target.width, target.height)
    # Resize as stored, then turn the small result, not the large original.
    stored = output.transposed if is_sideways(orientation) else output
    box = crop_box(size, stored, target)
    if isinstance(image, JpegImageFile):
        wanted = smallest_useful(size, box, stored, _OVERSAMPLING)
        if (drafted := image.draft(None, wanted)) is not None:
            box = scaled(box, drafted[1][2] / size.width)
    resized = _resizable(image).resize(stored, _FILTERS[target.interpolation], box, _REDUCING_GAP)
    flat = _opaque_rgb(resized)
    if orientation in _UPRIGHT:
        flat = flat.transpose(_UPRIGHT[orientation])
    raw = flat.tobytes("raw", target.color_order)
    return np.frombuffer(raw, np.uint8).reshape(target.height, target.width, 3)


def _resizable(image: Image.Image) -> Image.Image:
    """Return *image* in a mode whose samples may be averaged: colors, not palette indices."""
    image.load()
    if image.mode.startswith("I"):
        # Image.convert would clip at 255 instead of scaling 65535 to 255.
        samples = np.asarray(image)
        return Image.fromarray((samples >> 8).astype(np.uint8))
    if image.has_transparency_data and image.mode not in {"LA", "RGBA"}:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P":
        return image.convert("RGB")
    return image


def _opaque_rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"LA", "RGBA"}:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _reason(exc: BaseException) -> str:
    text = str(exc).strip()
    return text or type(exc).__name__
