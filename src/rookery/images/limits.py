"""How much of an image we are willing to look at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bounds checked before the expensive part of decoding.

    Attributes:
        max_bytes: the longest encoded image.
        max_pixels: the largest width times height, as declared in the header.
        formats: the allow-list, in Pillow's names.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 100_000_000
    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
