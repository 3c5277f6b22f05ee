from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rookery.backends.fixed import FixedBackend
from rookery.models.scores import classify_scores

NOWHERE = Path("no-such-folder")
LABELS = ("a", "b", "c")


@pytest.mark.parametrize("activation", ["probabilities", "logits"])
def test_classes_rank_in_the_order_of_the_labels(activation, card):
    card = replace(card, activation=activation)
    model = FixedBackend().load(NOWHERE, card)
    scores = classify_scores(model(np.zeros((1, 8, 6, 3), np.float32)), card, LABELS, top_k=3)
    assert [score.label for score in scores] == ["a", "b", "c"]
    assert [score.probability for score in scores] == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_a_thousand_classes_still_are_probabilities(card):
    model = FixedBackend().load(NOWHERE, replace(card, classes=1000))
    scores = model(np.zeros((1, 8, 6, 3), np.float32))["scores"]
    assert np.isfinite(scores).all()
    assert scores.sum() == pytest.approx(1)
