import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing

CASES = {
    "one mean for all": Preprocessing(2, 3, mean=(127.0,) * 3, scale=(128.0,) * 3),
    "a mean and scale per channel": Preprocessing(
        2, 3, mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375)
    ),
    "a mean alone": Preprocessing(2, 3, mean=(103.939, 116.779, 123.68)),
    "nothing": Preprocessing(2, 3),
}


@pytest.mark.parametrize("preprocessing", CASES.values(), ids=CASES.keys())
@given(pixels=arrays(np.uint8, (2, 3, 3), elements=st.integers(0, 255)))
def test_every_pixel_becomes_p_minus_mean_over_scale(preprocessing, pixels):
    expected = (pixels - np.array(preprocessing.mean)) / np.array(preprocessing.scale)
    np.testing.assert_allclose(normalize(pixels, preprocessing), expected, rtol=1e-5, atol=1e-5)


def test_the_result_is_a_new_contiguous_float32_array():
    pixels = np.zeros((2, 3, 3), np.uint8)
    result = normalize(pixels, CASES["a mean alone"])
    assert (result.dtype, result.shape, result.flags.c_contiguous) == (np.float32, (2, 3, 3), True)
    assert normalize(pixels, CASES["a mean alone"]) is not result


def test_read_only_pixels_are_fine():
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels.flags.writeable = False
    assert normalize(pixels, CASES["nothing"]).sum() == 0
