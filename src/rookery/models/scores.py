"""From a classifier's raw outputs to named, ranked classes."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rookery.errors import BackendFailed
from rookery.models.card import ModelCard
from rookery.models.classification import ClassScore


def classify_scores(
    outputs: Mapping[str, NDArray[np.float32]],
    card: ModelCard,
    labels: Sequence[str],
    top_k: int,
    *,
    instance: int = 0,
) -> tuple[ClassScore, ...]:
    """Return the *top_k* most probable classes of one *instance* of a batch, best first.

    Equal probabilities keep the order of the classes. Fewer than *top_k* come back when the
    model has fewer classes.

    Raises:
        BackendFailed: the output is absent, has another shape, or holds NaN or infinity.
    """
    scores = probabilities(outputs, card, instance)
    best = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(ClassScore(labels[index], int(index), float(scores[index])) for index in best)


def probabilities(
    outputs: Mapping[str, NDArray[np.float32]], card: ModelCard, instance: int = 0
) -> NDArray[np.float64]:
    """Return the probability of every class, shape (classes,), of one *instance* of a batch.

    Raises:
        BackendFailed: the output is absent, has another shape, or holds NaN or infinity.
    """
    output = outputs.get(card.output)
    if output is None:
        raise BackendFailed(f"{card.name} gave no output {card.output!r}, only {sorted(outputs)}")
    if output.ndim != 2 or output.shape[1] != card.classes or instance >= output.shape[0]:  # noqa: PLR2004 - (batch, classes)
        raise BackendFailed(
            f"{card.name} gave {card.output!r} of shape {output.shape}, "
            f"not (more than {instance}, {card.classes})"
        )
    scores = output[instance].astype(np.float64)  # (classes,)
    if not np.isfinite(scores).all():
        raise BackendFailed(f"{card.name} gave scores that are no numbers (NaN or infinity)")
    return _softmax(scores) if card.activation == "logits" else scores


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())
