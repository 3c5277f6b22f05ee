from dataclasses import replace

import numpy as np
import pytest

from rookery.errors import BackendFailed
from rookery.models.classification import ClassScore
from rookery.models.scores import classify_scores

LABELS = ("crow", "rook", "jackdaw")


def scores(*rows):
    return {"scores": np.array(rows, np.float32)}


def test_the_best_classes_come_first(card):
    found = classify_scores(scores([0.25, 0.5, 0.125]), card, LABELS, top_k=2)
    assert found == (ClassScore("rook", 1, 0.5), ClassScore("crow", 0, 0.25))


def test_equal_classes_keep_their_order(card):
    found = classify_scores(scores([0.25, 0.5, 0.25]), card, LABELS, top_k=3)
    assert [score.index for score in found] == [1, 0, 2]


def test_there_are_no_more_classes_than_the_model_has(card):
    assert len(classify_scores(scores([0.25, 0.5, 0.25]), card, LABELS, top_k=1000)) == 3


def test_logits_become_probabilities(card):
    logits = replace(card, activation="logits")
    found = classify_scores(scores([1000.0, 1000.0, -1000.0]), logits, LABELS, top_k=3)
    assert [score.probability for score in found] == pytest.approx([0.5, 0.5, 0.0])


def test_an_instance_of_a_batch_is_chosen(card):
    batch = scores([1, 0, 0], [0, 0, 1])
    assert classify_scores(batch, card, LABELS, 1, instance=1)[0].label == "jackdaw"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_a_failure(bad, card):
    with pytest.raises(BackendFailed, match="NaN or infinity"):
        classify_scores(scores([0.5, bad, 0.5]), card, LABELS, 1)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"logits": np.zeros((1, 3), np.float32)}, r"no output 'scores', only \['logits'\]"),
        ({"scores": np.zeros((1, 4), np.float32)}, r"of shape \(1, 4\)"),
        ({"scores": np.zeros(3, np.float32)}, r"of shape \(3,\)"),
        ({"scores": np.zeros((0, 3), np.float32)}, r"of shape \(0, 3\)"),
    ],
)
def test_an_output_the_card_does_not_describe_is_a_failure(outputs, message, card):
    with pytest.raises(BackendFailed, match=message):
        classify_scores(outputs, card, LABELS, 1)
