import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rookery.images.cost import declared_size, jpeg_scans


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({"lossless": False}, "RGB"),  # VP8
        ({"lossless": True}, "RGB"),  # VP8L
        ({"lossless": False}, "RGBA"),  # VP8X
    ],
)
def test_the_webp_canvas_is_read_from_each_kind_of_header(encode, options, mode):
    image = Image.new(mode, (123, 45), "teal" if mode == "RGB" else (0, 128, 128, 100))
    assert declared_size("WEBP", encode(image, "WEBP", **options)) == (123, 45)


def test_a_webp_header_can_declare_a_canvas_of_16_million_squared():
    header = b"RIFF\xff\xff\xff\x00WEBPVP8X\x0a\0\0\0" + b"\0" * 4 + b"\xff" * 6
    assert declared_size("WEBP", header) == (1 << 24, 1 << 24)


@pytest.mark.parametrize("name", ["PNG", "GIF"])
def test_the_size_stands_at_a_fixed_place(name, encode):
    assert declared_size(name, encode(Image.new("L", (123, 45)), name)) == (123, 45)


@pytest.mark.parametrize("name", ["JPEG", "BMP"])
def test_other_formats_are_left_to_their_decoder(name, encode):
    assert declared_size(name, encode(Image.new("L", (123, 45)), name)) is None


@given(st.sampled_from(["PNG", "GIF", "WEBP"]), st.binary(max_size=64))
def test_any_bytes_declare_a_size_or_none(name, data):
    size = declared_size(name, data)
    assert size is None or min(size) >= 0


def test_a_baseline_jpeg_has_one_scan(encode):
    assert jpeg_scans(encode(Image.new("L", (64, 64)), "JPEG")) == 1


def test_a_progressive_jpeg_has_several(encode, quadrants):
    data = encode(quadrants, "JPEG", progressive=True)
    assert 1 < jpeg_scans(data) < 20


def test_the_thumbnail_in_the_metadata_and_pictures_behind_the_first_do_not_count(
    encode, quadrants
):
    thumbnail = encode(quadrants, "JPEG", progressive=True)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = encode(quadrants, "JPEG")
    assert jpeg_scans(data[:2] + segment + data[2:] + thumbnail) == 1


@pytest.mark.parametrize(("frame", "scans"), [(b"\xc0", 3), (b"\xc1", 3), (b"\xc2", 3)])
def test_components_in_scans_of_their_own_are_counted(frame, scans):
    header = b"\xff" + frame + b"\0\x11\x08\0\x40\0\x40\x03" + b"\0" * 9
    one = b"\xff\xda\0\x08\x01\0\0\0\x3f\0" + b"data"
    assert jpeg_scans(b"\xff\xd8" + header + one * 3 + b"\xff\xd9") == scans


def test_what_follows_the_scan_that_has_all_components_is_not_looked_at(encode, quadrants):
    data = encode(quadrants, "JPEG")
    assert jpeg_scans(data[:-2] + b"\xff\xda" * 200) == 1


def test_a_zero_in_the_place_of_a_marker_hides_no_scans(encode, quadrants):
    data = encode(quadrants, "JPEG", progressive=True)
    assert jpeg_scans(data[:2] + b"\xff\x00" + data[2:]) == jpeg_scans(data)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_number_of_scans(data):
    assert 0 <= jpeg_scans(b"\xff\xd8" + data) <= len(data)
