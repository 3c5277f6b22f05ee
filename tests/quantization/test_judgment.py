from pathlib import Path

import numpy as np
import pytest

from rookery.errors import QuantizationRefused
from rookery.models.agreement import Agreement
from rookery.quantization.evaluation import Answers
from rookery.quantization.judgment import accuracy, judge
from rookery.quantization.report import Accuracy, Change, Quantization

IMAGES = tuple(map(Path, ("crow.jpg", "rook.jpg", "unknown.jpg")))


def report(top_1):
    return Quantization(
        source="birds/1",
        images=200,
        skipped=0,
        calibrated=100,
        min_agreement=0.99,
        agreement=Agreement(200, top_1, 1, 1, 0),
        accuracy=None,
        milliseconds=Change(2, 1),
        bytes=Change(4, 1),
        int8_instructions=True,
        nncf="3",
        openvino="2026",
    )


def answers(*classes):
    return Answers(IMAGES, np.eye(3, dtype=np.float32)[list(classes)], 0)


def test_what_agrees_as_asked_is_not_refused():
    judge(report(0.99))


def test_what_agrees_less_is_refused_with_numbers():
    message = r"its best class on 197 of 200 images \(98\.5%\), which is less than 99\.0%"
    with pytest.raises(QuantizationRefused, match=message):
        judge(report(0.985))


def test_accuracy_is_of_the_images_whose_class_is_known():
    truths = {IMAGES[0]: frozenset({0}), IMAGES[1]: frozenset({1, 2})}
    assert accuracy(answers(0, 2, 1), answers(1, 1, 1), truths) == Accuracy(2, 1.0, 0.5)


def test_without_known_classes_there_is_no_accuracy():
    assert accuracy(answers(0, 1, 2), answers(0, 1, 2), {}) is None
