"""A backend that computes nothing: for tests, and for measuring all that is around a model."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import Signature
from rookery.backends.signature import card_signature, check_batch
from rookery.models.card import ModelCard


class FixedBackend:
    """Loads any card, whatever its format: of the files it needs none."""

    name = "fixed"

    def load(self, directory: Path, card: ModelCard) -> "FixedModel":
        """Return a model that answers with *card*'s classes; *directory* is not read."""
        del directory
        return FixedModel(card)


class FixedModel:
    """Class i scores half of class i - 1, so the ranking is the order of the label file."""

    def __init__(self, card: ModelCard) -> None:
        """Take sizes, classes and the output's name from *card*."""
        self._output = card.output
        halves = np.exp2(-np.arange(1, card.classes + 1, dtype=np.float32))
        scores = halves / halves.sum()
        self._scores = (
            np.log(np.maximum(scores, np.finfo(np.float32).tiny))
            if card.activation == "logits"
            else scores
        )
        self._signature = card_signature(card)

    @property
    def signature(self) -> Signature:
        """One image batch in, one score batch out."""
        return self._signature

    def __call__(self, batch: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Return the fixed scores once per instance.

        Raises:
            BackendFailed: *batch* has another shape than the model takes.
        """
        check_batch(batch, self._signature)
        return {self._output: np.tile(self._scores, (len(batch), 1))}
