from dataclasses import replace
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.images.geometry import Box, Size, crop_box, is_sideways, scaled, smallest_useful
from rookery.images.preprocessing import Preprocessing

SQUASH = Preprocessing(height=224, width=224)
CROP = Preprocessing(height=224, width=224, resize="center-crop")

sizes = st.builds(Size, st.integers(1, 70_000), st.integers(1, 70_000))
outputs = st.builds(Size, st.integers(1, 2_000), st.integers(1, 2_000))
fractions = st.floats(0.05, 1.0)


def test_squash_takes_the_whole_picture():
    assert crop_box(Size(640, 427), Size(224, 224), SQUASH) == Box(0, 0, 640, 427)


@pytest.mark.parametrize(
    ("size", "output", "fraction", "box"),
    [
        (Size(640, 480), Size(224, 224), 1.0, Box(80, 0, 560, 480)),
        (Size(480, 640), Size(224, 224), 1.0, Box(0, 80, 480, 560)),
        (Size(256, 256), Size(224, 224), 0.875, Box(16, 16, 240, 240)),
        (Size(400, 400), Size(200, 100), 1.0, Box(0, 100, 400, 300)),
        (Size(1, 1), Size(224, 224), 1.0, Box(0, 0, 1, 1)),
    ],
)
def test_center_crop_takes_the_middle_in_the_shape_of_the_output(size, output, fraction, box):
    assert crop_box(size, output, replace(CROP, crop_fraction=fraction)) == pytest.approx(box)


@given(size=sizes, output=outputs, fraction=fractions)
def test_a_crop_stays_inside_the_picture_and_keeps_the_shape_of_the_output(size, output, fraction):
    box = crop_box(size, output, replace(CROP, crop_fraction=fraction))
    assert 0 <= box.left < box.right <= size.width
    assert 0 <= box.top < box.bottom <= size.height
    assert isclose(box.width * output.height, box.height * output.width, rel_tol=1e-6)


@given(size=sizes, output=outputs, fraction=fractions)
def test_a_crop_of_the_turned_picture_is_the_turned_crop(size, output, fraction):
    target = replace(CROP, crop_fraction=fraction)
    box = crop_box(size, output, target)
    turned = crop_box(size.transposed, output.transposed, target)
    assert turned == pytest.approx(Box(box.top, box.left, box.bottom, box.right))


@given(size=sizes, output=outputs, fraction=fractions, oversampling=st.floats(1, 4))
def test_the_smallest_useful_size_still_has_the_pixels_of_the_output(
    size, output, fraction, oversampling
):
    box = crop_box(size, output, replace(CROP, crop_fraction=fraction))
    small = smallest_useful(size, box, output, oversampling)
    shrunk = scaled(box, small.width / size.width)
    assert small.width <= size.width
    assert small.height <= size.height
    assert small == size or shrunk.width >= oversampling * output.width * (1 - 1e-9)


def test_a_picture_smaller_than_the_output_is_not_enlarged_before_it_is_decoded():
    size, output = Size(100, 50), Size(224, 224)
    assert smallest_useful(size, crop_box(size, output, CROP), output, 1) == size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_five_to_eight_lie_on_their_side(orientation):
    assert is_sideways(orientation) is (orientation >= 5)
