"""What a user's model file has to say and do before it becomes a version here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import Signature
from rookery.models.card import ModelCard


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user may have to choose where a file leaves it open; None is to find it out.

    Attributes:
        signature: which signature of a SavedModel.
        input: which tensor of a graph takes the images.
        output: which one holds the class scores.
    """

    signature: str | None = None
    input: str | None = None
    output: str | None = None


class Source(Protocol):
    """A model file that was opened."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives; an image batch always as (batch, height, width, 3)."""
        ...

    def run(self, batch: NDArray[np.float32], card: ModelCard) -> NDArray[np.float32]:
        """Return what the output that *card* names is for *batch*.

        Raises:
            BackendFailed: the model fails.
            ModelInvalid: the library cannot run such a model at all.
        """
        ...

    def write(self, directory: Path, card: ModelCard) -> ModelCard:
        """Write into *directory* what backends read; return *card* with its formats.

        Raises:
            ModelInvalid: it cannot be written down.
        """
        ...


Say = Callable[[str], None]
"""Tells the user what begins now, where it takes seconds."""
