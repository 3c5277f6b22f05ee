import pytest

from rookery.images.formats import sniff


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"),
        (b"\xff\xd8\xff\xdb", "JPEG"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "WEBP"),
        (b"GIF87a", "GIF"),
        (b"GIF89a", "GIF"),
        (b"BM\x36\0\0\0", "BMP"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"\0\0\0\x1cftypavif", "AVIF"),
        (b"\0\0\0\x18ftypheic", "HEIF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"%PDF-1.7", "PDF"),
        (b"<svg xmlns=", "SVG"),
        (b"P6\n640 480", "PPM"),
        (b"8BPS\0\1", "PSD"),
    ],
)
def test_a_format_is_named_by_its_first_bytes(start, name):
    assert sniff(start) == name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"hello, world",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"\0" * 64,
        b"\x89PNG",
        b"xxxxxxxxWEBP",
    ],
)
def test_what_is_no_image_has_no_name(data):
    assert sniff(data) is None
