"""What a file is, told from its first bytes: so that a refusal can name the format."""

import struct
from typing import Final

# (bytes, where they stand, name); the first match wins. The names of formats that Pillow decodes
# are Pillow's. A format listed here need not be decodable: it only has to be nameable.
_SIGNATURES: Final[tuple[tuple[bytes, int, str], ...]] = (
    (b"\xff\xd8\xff", 0, "JPEG"),
    (b"\x89PNG\r\n\x1a\n", 0, "PNG"),
    (b"WEBP", 8, "WEBP"),
    (b"GIF87a", 0, "GIF"),
    (b"GIF89a", 0, "GIF"),
    (b"II*\0", 0, "TIFF"),
    (b"MM\0*", 0, "TIFF"),
    (b"II+\0", 0, "TIFF"),
    (b"MM\0+", 0, "TIFF"),
    (b"ftypavif", 4, "AVIF"),
    (b"ftypavis", 4, "AVIF"),
    (b"ftyphei", 4, "HEIF"),
    (b"ftyphev", 4, "HEIF"),
    (b"ftypmif1", 4, "HEIF"),
    (b"ftypmsf1", 4, "HEIF"),
    (b"\0\0\0\x0cjP  ", 0, "JPEG2000"),
    (b"\xff\x4f\xff\x51", 0, "JPEG2000"),
    (b"\0\0\0\x0cJXL ", 0, "JPEG XL"),
    (b"\xff\x0a", 0, "JPEG XL"),
    (b"\0\0\1\0", 0, "ICO"),
    (b"8BPS", 0, "PSD"),
    (b"%PDF-", 0, "PDF"),
    (b"DDS ", 0, "DDS"),
    (b"SIMPLE  =", 0, "FITS"),
    (b"qoif", 0, "QOI"),
    (b"<svg", 0, "SVG"),
    (b"BM", 0, "BMP"),
    *((b"P%d" % kind + space, 0, "PPM") for kind in range(1, 8) for space in (b"\n", b" ", b"\r")),
)


def sniff(data: bytes) -> str | None:
    """Return the format that *data* starts like, or None; never reads past the first bytes."""
    for magic, offset, name in _SIGNATURES:
        if data.startswith(magic, offset) and (name != "WEBP" or data.startswith(b"RIFF")):
            return name
    return None


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return the canvas (width, height) a WebP header declares, or None where it is damaged.

    Needed because libwebp's animation decoder allocates the canvas when it is created, before
    anybody can ask it for the size. RFC 9649, sections 2.5 to 2.7.
    """
    kind, header = data[12:16], data[:30]
    if kind == b"VP8 " and len(header) == 30:  # noqa: PLR2004 - the length just sliced
        width, height = struct.unpack_from("<HH", header, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(header) >= 25:  # noqa: PLR2004 - the field ends there
        (bits,) = struct.unpack_from("<I", header, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(header) == 30:  # noqa: PLR2004 - the length just sliced
        width = int.from_bytes(header[24:27], "little") + 1
        return width, int.from_bytes(header[27:30], "little") + 1
    return None
