import re
from dataclasses import replace

import numpy as np
import pytest

from rookery.images.info import ImageInfo
from rookery.models.classification import Classification, ClassScore, Timings
from rookery.notebook.prediction import Prediction

LABELS = ("penguin", "<script>alert(1)</script>", "$x$ and y", "jay", "magpie", "owl")


@pytest.fixture
def prediction():
    scores = tuple(
        ClassScore(label, number, 0.5 ** (number + 1)) for number, label in enumerate(LABELS)
    )
    answer = Classification(
        model="birds",
        version=3,
        backend="fixed",
        image=ImageInfo("JPEG", 400, 100),
        scores=scores,
        timings=Timings(1.25, 2.0, 3.5),
    )
    return Prediction(answer, np.zeros((8, 8, 3), np.uint8), 4.0)


def test_the_best_class_is_at_hand(prediction):
    assert (prediction.label, prediction.probability) == ("penguin", 0.5)
    assert prediction.timings.infer_ms == 2.0


@pytest.mark.parametrize(("count", "found"), [(0, 0), (-1, 0), (2, 2), (6, 6), (100, 6)])
def test_as_many_classes_as_wanted_come_best_first(prediction, count, found):
    assert [score.label for score in prediction.top(count)] == list(LABELS[:found])


def test_five_classes_come_by_default(prediction):
    assert len(prediction.top()) == 5


def test_a_terminal_shows_a_table(prediction):
    lines = repr(prediction).splitlines()
    assert re.fullmatch(r"penguin +50\.0%  █{12}", lines[0])
    assert len({line.index("%") for line in lines[:5]}) == 1
    assert lines[5] == "birds/3 on fixed; JPEG 400x100; decoded in 1.2 ms, inferred in 2.0 ms"


def test_a_page_shows_the_picture_in_its_shape_and_the_classes(prediction):
    page = prediction._repr_html_()
    assert 'width="224" height="56" alt="penguin" src="data:image/png;base64,iVBOR' in page
    assert "50.0%" in page
    assert page.count("<tr>") == 5


@pytest.mark.parametrize(("shape", "size"), [(0.5, (112, 224)), (1e-4, (1, 224)), (1e4, (224, 1))])
def test_a_picture_of_any_shape_can_be_seen(prediction, shape, size):
    page = replace(prediction, shape=shape)._repr_html_()
    assert f'width="{size[0]}" height="{size[1]}"' in page


def test_a_label_cannot_be_a_script_of_the_page(prediction):
    page = prediction._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
