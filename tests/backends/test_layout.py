from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.backends.layout import interleaved, is_planar, to_planar
from rookery.backends.protocol import TensorSpec
from rookery.images.preprocessing import Preprocessing


@pytest.mark.parametrize(
    ("shape", "planar"),
    [
        ((None, 3, 8, 6), True),
        ((1, 3, 8, 6), True),
        ((None, 3, None, None), True),
        ((None, 8, 6, 3), False),
        ((None, None, None, 3), False),
        ((None, None, None, None), False),
        ((None, 3, 6, 8), False),
        ((None, 1, 8, 6), False),
        ((3, 8, 6), False),
        ((), False),
    ],
)
def test_planes_are_told_by_the_shape(shape, planar, card):
    assert is_planar(TensorSpec("image", "float32", shape), card) is planar


def test_an_image_that_could_be_either_is_not_taken_for_planes(card):
    card = replace(card, input=Preprocessing(height=3, width=3))
    assert not is_planar(TensorSpec("image", "float32", (None, 3, 3, 3)), card)


def test_callers_see_the_channels_last():
    spec = interleaved(TensorSpec("image", "float32", (None, 3, 8, 6)))
    assert spec == TensorSpec("image", "float32", (None, 8, 6, 3))


@given(st.tuples(*[st.integers(1, 5)] * 3))
def test_every_pixel_keeps_its_place(size):
    count, height, width = size
    batch = np.random.default_rng(0).random((count, height, width, 3), np.float32)
    planes = to_planar(batch)
    assert planes.flags.c_contiguous
    np.testing.assert_array_equal(np.moveaxis(planes, 1, -1), batch)
