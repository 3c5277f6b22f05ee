"""How far two sets of answers to the same images agree: of two libraries, or of two precisions."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_BEST: Final = 5


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was found; shares are 0..1 of the images.

    Attributes:
        images: how many were compared.
        top_1: the share with the same best class.
        top_5: the share with the same five best classes in the same order.
        overlap: of the five best classes, the share that both have, on average.
        largest_difference: of any probability of any image.
    """

    images: int
    top_1: float
    top_5: float
    overlap: float
    largest_difference: float


def compare(
    reference: NDArray[np.float32], other: NDArray[np.float32], *, tie: float = 0.0
) -> Agreement:
    """Compare the probabilities *other* with *reference*, both of shape (images, classes).

    Classes whose probabilities differ by *tie* or less, in both, may change places: rounding alone
    orders them. A model with fewer than five classes has that many best ones. What is no
    number (NaN) agrees with nothing.

    Raises:
        ValueError: the shapes differ, or there is no image.
    """
    if reference.shape != other.shape or reference.ndim != 2 or not reference.size:  # noqa: PLR2004 - (images, classes)
        raise ValueError(f"{other.shape} cannot be compared with {reference.shape}")
    wanted, found = _best(reference), _best(other)  # (images, best)
    gaps = np.maximum(*(_gaps(scores, wanted, found) for scores in (reference, other)))
    known = np.isfinite(reference + other).all(axis=1, keepdims=True)  # (images, 1)
    same = ((wanted == found) | (gaps <= tie)) & known
    shared = (wanted[:, :, np.newaxis] == found[:, np.newaxis, :]).any(2)
    difference = float(np.abs(reference - other).max())
    return Agreement(
        images=len(reference),
        top_1=float(same[:, 0].mean()),
        top_5=float(same.all(1).mean()),
        overlap=float((shared & known).mean()),
        largest_difference=difference if np.isfinite(difference) else float("inf"),
    )


def _best(scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the indices of the best classes, best first; equal ones in the order of classes."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :_BEST]


def _gaps(
    scores: NDArray[np.float32], some: NDArray[np.intp], others: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return how far the scores of classes *some* are from those of *others*, (images, best)."""
    one, other = (np.take_along_axis(scores, classes, 1) for classes in (some, others))
    return np.asarray(np.abs(one - other))
