"""What a file is, told from its first bytes: so that a refusal can name the format."""

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
