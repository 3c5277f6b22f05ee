"""What decoding would cost, read from the bytes before a decoder is asked to pay it."""

import struct
from typing import Final

_PNG_HEADER: Final = 24
_GIF_HEADER: Final = 10
_WEBP_HEADER: Final = 30
_SOI_BYTES: Final = 2
_SOS: Final = 0xDA
# Frames whose scans each hold a part of the picture and no more: baseline, extended, arithmetic.
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1, 0xC9})
_COMPONENTS_AT: Final = 9  # in a frame header, from its marker on
# Markers without a length: TEM, RST0 to RST7, SOI. ITU T.81, table B.1. A zero is no marker:
# libjpeg passes over it, and so do we, or the two would not see the same segments.
_STANDALONE: Final = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})


def declared_size(name: str, data: bytes) -> tuple[int, int] | None:
    """Return the (width, height) in the header of a PNG, GIF or WebP file, None without one.

    Pillow's readers look at more than the header before anybody can ask them for the size:
    libwebp's animation decoder even allocates the canvas. BMP and JPEG are left to them.
    """
    if name == "PNG" and len(data) >= _PNG_HEADER and data[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    if name == "GIF" and len(data) >= _GIF_HEADER:
        width, height = struct.unpack_from("<HH", data, 6)
        return width, height
    if name == "WEBP" and len(data) >= _WEBP_HEADER:
        return _webp_size(data)
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Read the size from the first chunk: RFC 9649, sections 2.5 to 2.7."""
    match data[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            width = int.from_bytes(data[24:27], "little") + 1
            return width, int.from_bytes(data[27:30], "little") + 1
    return None


def jpeg_scans(data: bytes) -> int:
    """Count the scans of the first picture in a JPEG file.

    Every scan of a progressive JPEG walks over the whole picture, and an empty one costs its
    sender about a byte per 5,000 blocks, so the pixel count alone does not bound the work.
    ITU T.81, sections B.1.1 and B.2.
    """
    start, components = _first_scan(data)
    if start is None:
        return 0
    if components and data[start + 4 : start + 5] == components:
        # It has all there is, and libjpeg refuses a second one. Searching a photograph of some
        # megabytes for more would take a tenth of the time that decoding it does.
        return 1
    # Inside scans 0xFF is followed by a zero or is a marker. Behind the end of the picture
    # there may be others (a phone's second lens): they are not decoded.
    end = data.find(b"\xff\xd9", start)
    return data.count(b"\xff\xda", start, end if end >= 0 else len(data))


def _first_scan(data: bytes) -> tuple[int | None, bytes]:
    """Return where the first scan begins, and the components of its frame if it is sequential.

    Segments are skipped: they may hold a whole thumbnail.
    """
    position, components = _SOI_BYTES, b""
    while (position := data.find(b"\xff", position)) >= 0 and position + 4 <= len(data):
        marker = data[position + 1]
        if marker == _SOS:
            return position, components
        if marker in _SEQUENTIAL:
            components = data[position + _COMPONENTS_AT : position + _COMPONENTS_AT + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            position += 1
        elif marker in _STANDALONE:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None, b""
