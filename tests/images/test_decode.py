import struct
import zlib
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from rookery.errors import FormatNotAllowed, ImageEmpty, ImageTooLarge, ImageUndecodable
from rookery.images.decode import ImageInfo, decode
from rookery.images.limits import ImageLimits
from rookery.images.preprocessing import Preprocessing

FORMATS = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "GIF": {},
}


def corners(pixels):
    """The four colors well inside the quadrants, row by row, as 0 or 1 per channel."""
    height, width = pixels.shape[:2]
    rows, columns = (height // 8, height - height // 8), (width // 8, width - width // 8)
    return [tuple(int(v > 127) for v in pixels[y, x]) for y in rows for x in columns]


RED, GREEN, BLUE, WHITE = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)
UPRIGHT = [RED, GREEN, BLUE, WHITE]


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk


# --- what comes out ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_pixels_and_the_size_as_sent(
    kind, encode, quadrants, square, limits
):
    decoded = decode(encode(quadrants, kind, **FORMATS[kind]), square, limits)
    assert decoded.info == ImageInfo(kind, 80, 40)
    assert corners(decoded.pixels) == UPRIGHT


def test_pixels_are_contiguous_bytes_in_the_size_of_the_model(encode, quadrants, limits):
    decoded = decode(encode(quadrants, "PNG"), Preprocessing(height=30, width=50), limits)
    assert decoded.pixels.shape == (30, 50, 3)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.c_contiguous


def test_bgr_is_rgb_backwards(encode, quadrants, square, limits):
    data = encode(quadrants, "PNG")
    rgb = decode(data, square, limits).pixels
    bgr = decode(data, replace(square, color_order="BGR"), limits).pixels
    np.testing.assert_array_equal(bgr, rgb[..., ::-1])


def test_center_crop_leaves_the_sides_out(encode, limits):
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    target = Preprocessing(height=64, width=64, resize="center-crop", interpolation="nearest")
    pixels = decode(encode(image, "PNG"), target, limits).pixels
    assert (pixels == (0, 0, 255)).all()


def test_a_photograph_has_the_pixels_of_the_exact_resize(grace_hopper, encode, limits):
    target = Preprocessing(height=224, width=224)
    with Image.open(BytesIO(grace_hopper)) as image:
        exact = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC))
        lossless = encode(image, "PNG")
    np.testing.assert_array_equal(decode(lossless, target, limits).pixels, exact)


def test_a_jpeg_scaled_while_decoding_is_close_to_the_exact_resize(grace_hopper, limits):
    target = Preprocessing(height=224, width=224)
    with Image.open(BytesIO(grace_hopper)) as image:
        exact = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC), np.int16)
    difference = np.abs(decode(grace_hopper, target, limits).pixels - exact)
    assert difference.mean() < 3


# --- scaled decoding -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "target", "scale"),
    [
        # Of every side at least twice as much is decoded as the model takes.
        ((1600, 1600), Preprocessing(height=100, width=100), 8),
        ((1599, 1600), Preprocessing(height=100, width=100), 4),
        ((800, 800), Preprocessing(height=100, width=100), 4),
        ((400, 400), Preprocessing(height=100, width=100), 2),
        ((399, 2000), Preprocessing(height=100, width=100), 1),
        ((90, 90), Preprocessing(height=100, width=100), 1),
        # Half of 800 is 400, and half of that are the 200 that are needed.
        ((800, 800), Preprocessing(100, 100, resize="center-crop", crop_fraction=0.5), 2),
        ((798, 800), Preprocessing(100, 100, resize="center-crop", crop_fraction=0.5), 1),
        # On its side: the width of the file is the height of the picture.
        ((800, 400), Preprocessing(height=200, width=100), 2),
    ],
)
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_keeps_its_answer(  # noqa: PLR0913, PLR0917
    size, target, scale, encode, limits, monkeypatch
):
    loaded = []
    original = Image.Image.resize

    def resize(image, *args, **kwargs):
        loaded.append(image.size)
        return original(image, *args, **kwargs)

    exif = Image.Exif()
    if size == (800, 400):
        exif[0x0112] = 6
    data = encode(Image.new("RGB", size), "JPEG", exif=exif)
    monkeypatch.setattr(Image.Image, "resize", resize)
    decode(data, target, limits)
    assert loaded == [(-(-size[0] // scale), -(-size[1] // scale))]


# --- orientation ---------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(kind, orientation, encode, quadrants, limits):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(quadrants, kind, exif=exif, **FORMATS[kind])
    with Image.open(BytesIO(data)) as image:
        seen = ImageOps.exif_transpose(image).convert("RGB")
    decoded = decode(data, Preprocessing(height=48, width=96), limits)
    assert (decoded.info.width, decoded.info.height) == seen.size
    assert corners(decoded.pixels) == corners(np.asarray(seen))


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage!",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x02\0\0\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0",
    ],
)
@pytest.mark.filterwarnings("ignore:.*EXIF", "ignore:Truncated File Read", "ignore:Metadata")
def test_damaged_or_foolish_exif_means_upright(exif, encode, quadrants, square, limits):
    data = encode(quadrants, "JPEG", exif=exif, **FORMATS["JPEG"])
    decoded = decode(data, square, limits)
    assert corners(decoded.pixels) == UPRIGHT


# --- color modes ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_grey_becomes_three_equal_channels(kind, encode, square, limits):
    pixels = decode(encode(Image.new("L", (80, 40), 77), kind), square, limits).pixels
    assert np.abs(pixels.astype(int) - 77).max() <= 1


def test_cmyk_jpeg_has_the_colors_it_was_made_of(encode, quadrants, square, limits):
    data = encode(quadrants.convert("CMYK"), "JPEG", quality=95)
    assert corners(decode(data, square, limits).pixels) == UPRIGHT


def test_sixteen_bit_grey_is_scaled_not_clipped(encode, square, limits):
    ramp = np.full((40, 80), 0x8000, np.uint16)
    pixels = decode(encode(Image.fromarray(ramp), "PNG"), square, limits).pixels
    assert (pixels == 0x80).all()


def test_sixteen_bit_color_keeps_its_upper_bytes(square, limits):
    width, height = 8, 4
    row = b"\0" + struct.pack(">HHH", 0xFF00, 0x8000, 0x0100) * width
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * height)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    assert (decode(data, square, limits).pixels == (255, 128, 1)).all()


def test_one_bit_is_black_and_white(encode, square, limits):
    image = Image.new("1", (80, 40), 0)
    image.paste(1, (40, 0, 80, 40))
    pixels = decode(encode(image, "PNG"), square, limits).pixels
    assert corners(pixels) == [(0, 0, 0), WHITE, (0, 0, 0), WHITE]


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_palette_colors_are_averaged_as_colors(kind, encode, quadrants, square, limits):
    data = encode(quadrants.convert("P"), kind)
    assert corners(decode(data, square, limits).pixels) == UPRIGHT


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_pixels_show_white(mode, kind, encode, square, limits):
    image = Image.new("RGBA", (80, 40), (0, 0, 0, 0)).convert(mode)
    data = encode(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    assert (decode(data, square, limits).pixels == 255).all()


def test_half_transparent_red_over_white_is_pink(encode, square, limits):
    data = encode(Image.new("RGBA", (80, 40), (255, 0, 0, 128)), "PNG")
    pixels = decode(data, square, limits).pixels
    assert np.abs(pixels.astype(int) - (255, 127, 127)).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_shows_white(kind, encode, square, limits):
    image = Image.new("P", (80, 40), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(1, (40, 0, 80, 40))
    pixels = decode(encode(image, kind, transparency=0), square, limits).pixels
    assert corners(pixels) == [WHITE, RED, WHITE, RED]


def test_a_transparent_key_color_shows_white(encode, quadrants, square, limits):
    data = encode(quadrants, "PNG", transparency=(255, 0, 0))
    assert corners(decode(data, square, limits).pixels) == [WHITE, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_shows_its_first_frame(kind, encode, quadrants, square, limits):
    later = [Image.new("RGB", quadrants.size, "black") for _ in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(quadrants, kind, save_all=True, append_images=later, **options)
    assert corners(decode(data, square, limits).pixels) == UPRIGHT


def test_a_phone_s_jpeg_with_several_pictures_is_a_jpeg(encode, quadrants, square, limits):
    data = encode(quadrants, "MPO", save_all=True, append_images=[Image.new("RGB", (80, 40))])
    decoded = decode(data, square, limits)
    assert decoded.info.format == "JPEG"
    assert corners(decoded.pixels) == UPRIGHT


# --- refusals ------------------------------------------------------------------------------


def test_no_bytes_are_no_image(square, limits):
    with pytest.raises(ImageEmpty, match="no bytes"):
        decode(b"", square, limits)


@pytest.mark.parametrize("data", [b"not an image, whatever its name says", b"\0" * 4096, b"\xff"])
def test_what_starts_like_no_image_is_undecodable(data, square, limits):
    with pytest.raises(ImageUndecodable, match="no image"):
        decode(data, square, limits)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("keep", [0.02, 0.5, 0.9])
def test_a_truncated_image_is_undecodable(kind, keep, encode, square, limits):
    noise = Image.effect_noise((80, 60), 90).convert("RGB")
    data = encode(noise, kind, **FORMATS[kind])
    with pytest.raises(ImageUndecodable, match=f"start like {kind}"):
        decode(data[: max(16, int(len(data) * keep))], square, limits)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG2000", "PPM", "ICO"])
def test_an_image_of_another_format_is_named_in_the_refusal(
    kind, encode, quadrants, square, limits
):
    with pytest.raises(FormatNotAllowed, match=f"{kind} images are not accepted; send JPEG, PNG"):
        decode(encode(quadrants, kind), square, limits)


def test_the_allow_list_is_a_setting(encode, quadrants, square):
    with pytest.raises(FormatNotAllowed, match="PNG images are not accepted; send JPEG"):
        decode(encode(quadrants, "PNG"), square, ImageLimits(formats=("JPEG",)))


def test_a_format_we_cannot_decode_is_refused_even_when_it_is_allowed(encode, quadrants, square):
    with pytest.raises(FormatNotAllowed, match="TIFF"):
        decode(encode(quadrants, "TIFF"), square, ImageLimits(formats=("TIFF",)))


HUGE = {
    "PNG": png_header(40_000, 40_000) + b"\0" * 64,
    "GIF": b"GIF89a" + struct.pack("<HHBBB", 40_000, 40_000, 0, 0, 0) + b"\0" * 64,
    "BMP": b"BM"
    + struct.pack("<IHHIIiiHHIIIIII", 99, 0, 0, 54, 40, 40_000, 40_000, 1, 24, *[0] * 6),
    "WEBP": b"RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (39_999).to_bytes(3, "little") * 2,
    "JPEG": b"\xff\xd8\xff\xc0\0\x0b\x08" + struct.pack(">HH", 40_000, 40_000) + b"\1\1\x11\0"
    b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\0" * 64,
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_header_that_declares_too_much_is_refused_before_a_pixel_is_decoded(
    kind, square, limits, monkeypatch
):
    monkeypatch.delattr("PIL.ImageFile.ImageFile.load")
    with pytest.raises(ImageTooLarge, match=r"40,000 x 40,000 = 1,600,000,000 pixels, the limit"):
        decode(HUGE[kind], square, limits)


def test_the_limit_is_ours_and_not_the_decoder_s(encode, square, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    data = encode(Image.new("RGB", (80, 40)), "PNG")
    assert decode(data, square, ImageLimits(max_pixels=3200)).info.width == 80
    with pytest.raises(ImageTooLarge):
        decode(data, square, ImageLimits(max_pixels=3199))


def test_a_gif_frame_larger_than_its_screen_counts_as_large(square):
    frame = b"," + struct.pack("<HHHHB", 0, 0, 30_000, 30_000, 0x80) + b"\0" * 6
    data = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + frame + b"\2\2L\1\0;"
    with pytest.raises(ImageTooLarge):
        decode(data, square, ImageLimits(max_pixels=1_000_000))


def test_a_file_longer_than_the_limit_is_refused(encode, quadrants, square):
    data = encode(quadrants, "PNG")
    with pytest.raises(ImageTooLarge, match=f"is {len(data):,} bytes, the limit is 20"):
        decode(data, square, ImageLimits(max_bytes=20))


def test_a_jpeg_of_endless_scans_is_refused(encode, quadrants, square, limits):
    data = encode(quadrants, "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(ImageTooLarge, match="scans"):
        decode(data[:-2] + scan * 200 + data[-2:], square, limits)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_compressed_metadata_bomb_is_refused(kind, encode, quadrants, square, limits):
    body = kind + b"bomb\0\0" + zlib.compress(b"\0" * 20_000_000, 9)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = encode(quadrants, "PNG")
    with pytest.raises(ImageUndecodable, match="start like PNG"):
        decode(data[:33] + chunk + data[33:], square, limits)
