"""The port to an inference library."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rookery.models.card import ModelCard


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor of a signature: its name, numpy dtype name, and shape (None = any size)."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a loaded model, in the model's own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class LoadedModel(Protocol):
    """A model in memory. Safe to call from many threads at once."""

    @property
    def signature(self) -> Signature:
        """The signature named by the model card."""
        ...

    def __call__(self, batch: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Run one batch of shape (instances, height, width, 3); return outputs by name.

        Raises:
            BackendFailed: the library raised an error.
        """
        ...


class Backend(Protocol):
    """Loads models. Holds no sockets, no credentials, and nothing a snapshot forbids."""

    @property
    def name(self) -> str:
        """The backend's name in settings, metrics and answers, such as `tensorflow`."""
        ...

    def load(self, directory: Path, card: ModelCard) -> LoadedModel:
        """Load the model version in *directory*, described by *card*.

        Raises:
            ModelInvalid: the files are damaged, or do not match the card.
        """
        ...
