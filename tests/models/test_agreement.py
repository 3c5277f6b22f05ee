import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rookery.models.agreement import compare

SEVEN = np.array([[0.4, 0.3, 0.1, 0.08, 0.06, 0.04, 0.02]], np.float32)


def changed(**classes):
    scores = SEVEN.copy()
    for name, score in classes.items():
        scores[0, int(name[1:])] = score
    return scores


@pytest.mark.parametrize(
    ("changes", "top_1", "top_5", "overlap"),
    [
        pytest.param({}, 1, 1, 1, id="the same"),
        pytest.param({"c0": 0.3, "c1": 0.4}, 0, 0, 1, id="best two swapped"),
        pytest.param({"c1": 0.1, "c2": 0.3}, 1, 0, 1, id="others swapped"),
        pytest.param({"c4": 0.01}, 1, 0, 0.8, id="another in the five"),
        pytest.param({"c5": 0.05, "c6": 0.03}, 1, 1, 1, id="beyond the five"),
    ],
)
def test_what_is_the_same_is_counted(changes, top_1, top_5, overlap):
    found = compare(SEVEN, changed(**changes))
    assert (found.top_1, found.top_5) == (top_1, top_5)
    assert found.overlap == pytest.approx(overlap)


def test_shares_are_of_the_images():
    other = np.concatenate([SEVEN, changed(c0=0.3, c1=0.4)])
    found = compare(np.concatenate([SEVEN, SEVEN]), other)
    assert (found.images, found.top_1, found.top_5) == (2, 0.5, 0.5)


def test_the_largest_difference_is_of_any_class_and_image():
    other = np.concatenate([changed(c1=0.31), changed(c6=0.07)])
    found = compare(np.concatenate([SEVEN, SEVEN]), other)
    assert found.largest_difference == pytest.approx(0.05)


def test_what_sees_no_difference_is_not_right_by_that():
    blind = np.full((1, 7), 1 / 7, np.float32)
    other = np.roll(SEVEN, 3, axis=1)
    assert compare(blind, other, tie=0.1).top_1 == 0


@pytest.mark.parametrize(("tie", "top_5"), [(0.019, 0), (0.021, 1)])
def test_classes_that_are_as_probable_may_change_places(tie, top_5):
    swapped = changed(c3=0.06, c4=0.08)
    assert compare(SEVEN, swapped, tie=tie).top_5 == top_5


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_agrees_with_nothing(broken):
    found = compare(SEVEN, changed(c6=broken))
    assert (found.top_1, found.top_5, found.overlap) == (0, 0, 0)
    assert found.largest_difference == np.inf


def test_a_model_with_two_classes_has_two_best():
    two = np.array([[0.6, 0.4]], np.float32)
    assert compare(two, two).top_5 == 1
    assert compare(two, two[:, ::-1]).top_1 == 0


@pytest.mark.parametrize("shape", [(2, 7), (1, 6), (7,)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(SEVEN, np.zeros(shape, np.float32))


def test_no_image_is_refused():
    none = np.empty((0, 7), np.float32)
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(none, none)


SCORES = arrays(np.float32, (3, 8), elements=st.floats(0, 1, width=32))


@given(SCORES, SCORES)
def test_shares_are_shares_and_the_strictest_is_the_smallest(one, other):
    found = compare(one, other)
    assert 0 <= found.top_5 <= found.top_1 <= 1
    assert 0 <= found.overlap <= 1


@given(SCORES)
def test_everything_agrees_with_itself(scores):
    found = compare(scores, scores)
    assert (found.top_1, found.top_5, found.overlap, found.largest_difference) == (1, 1, 1, 0)
