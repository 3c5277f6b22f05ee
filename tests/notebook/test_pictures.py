from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from rookery.errors import ImageEmpty, ImageUndecodable
from rookery.notebook.pictures import encoded, said, to_png

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def opened(data):
    with Image.open(BytesIO(data)) as image:
        image.load()
    return image


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_read(tmp_path, jpeg, kind):
    (tmp_path / "a.jpg").write_bytes(jpeg)
    assert encoded(kind(tmp_path / "a.jpg")) == jpeg


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, BytesIO])
def test_bytes_are_taken_as_they_are(jpeg, kind):
    assert encoded(kind(jpeg)) == jpeg


def test_a_file_is_read_from_where_it_stands(jpeg):
    file = BytesIO(b"head" + jpeg)
    file.seek(4)
    assert encoded(file) == jpeg


@given(
    st.sampled_from([(3, 4), (3, 4, 1), (3, 4, 3), (3, 4, 4)]).flatmap(
        lambda shape: arrays.arrays(np.uint8, shape)
    )
)
def test_an_arrays_pixels_are_all_kept(array):
    assert np.array_equal(np.asarray(opened(encoded(array))), array.squeeze())


def test_an_array_need_not_be_contiguous():
    assert np.array_equal(np.asarray(opened(encoded(GREY[:, ::-2]))), GREY[:, ::-2])


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((3, 4), "float64", r"is float64.*\(array \* 255\)"),
        ((3, 4), "int64", "is int64"),
        ((2, 3, 4, 3), "uint8", r"pass list\(array\) for several"),
        ((4,), "uint8", r"shape is \(4,\)"),
        ((3, 4, 2), "uint8", r"shape is \(3, 4, 2\)"),
        ((0, 4, 3), "uint8", r"shape is \(0, 4, 3\)"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(shape, dtype, message):
    with pytest.raises(ImageUndecodable, match=message):
        encoded(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    ("mode", "stored"),
    [
        ("1", "1"), ("L", "L"), ("LA", "LA"), ("P", "P"), ("RGB", "RGB"), ("RGBA", "RGBA"),
        ("I;16", "I;16"), ("CMYK", "RGB"), ("YCbCr", "RGB"), ("HSV", "RGB"), ("PA", "RGBA"),
        ("RGBa", "RGBA"), ("RGBX", "RGB"), ("La", "LA"), ("LAB", "RGB"), ("I;16B", "I;16"),
        ("I;16L", "I;16"), ("I;16N", "I;16"),
    ],
)  # fmt: skip
def test_a_pil_image_of_any_mode_with_colors_is_encoded(mode, stored):
    assert opened(encoded(Image.new(mode, (4, 3)))).mode == stored


@pytest.mark.parametrize(("mode", "dtype"), [("I;16", "<u2"), ("I;16L", "<u2"), ("I;16B", ">u2")])
def test_16_bit_samples_are_kept_whatever_the_order_of_their_bytes(mode, dtype):
    samples = np.arange(0, 60_000, 5_000).reshape(3, 4)
    image = Image.frombytes(mode, (4, 3), samples.astype(dtype).tobytes())
    assert np.array_equal(np.asarray(opened(encoded(image))), samples)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_a_pil_image_of_numbers_is_refused(mode):
    with pytest.raises(ImageUndecodable, match=rf"\(mode {mode}\).* scale them to 0\.\.255"):
        encoded(Image.new(mode, (4, 3)))


@pytest.mark.parametrize("size", [(0, 0), (0, 3), (4, 0)])
def test_a_pil_image_without_pixels_is_refused(size):
    with pytest.raises(ImageEmpty, match=f"it is {size[0]} x {size[1]}"):
        encoded(Image.new("RGB", size))


def test_a_pil_image_is_turned_upright():
    sideways = Image.new("RGB", (4, 3))
    sideways.getexif()[0x0112] = 6
    assert opened(encoded(sideways)).size == (3, 4)


@pytest.mark.parametrize("other", [None, 5, {"a": 1}])
def test_anything_else_is_refused(other):
    with pytest.raises(TypeError, match=f"not {type(other).__name__}"):
        encoded(other)


def test_a_file_of_text_is_refused():
    with pytest.raises(TypeError, match="open it with mode 'rb'"):
        encoded(StringIO("text"))


def test_a_path_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.jpg"):
        encoded(tmp_path / "absent.jpg")


@pytest.mark.parametrize(
    ("picture", "name"),
    [
        ("a.jpg", "a.jpg"),
        (Path("b/a.jpg"), "b/a.jpg"),
        (b"1234", "4 bytes"),
        (BytesIO(), "BytesIO"),
    ],
)
def test_a_picture_has_a_name_for_messages(picture, name):
    assert said(picture) == name


def test_an_array_is_named_by_its_type():
    assert said(GREY) == "ndarray"


def test_pixels_become_a_png_again():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    assert np.array_equal(np.asarray(opened(to_png(pixels))), pixels)
