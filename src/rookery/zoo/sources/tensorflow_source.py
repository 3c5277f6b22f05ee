"""A model that TensorFlow runs in this process: what every such file has in common."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.freezing import freeze
from rookery.backends.frozen_graph import run_graph
from rookery.backends.protocol import Signature
from rookery.backends.savedmodel import SavedFunction
from rookery.errors import BackendFailed, ModelInvalid
from rookery.models.card import ModelCard
from rookery.models.formats import FILES
from rookery.zoo.export import export_function

if TYPE_CHECKING:
    from tensorflow import Tensor

_log = logging.getLogger(__name__)

_TOLERANCE: Final = 1e-4


class TensorFlowSource:
    """Runs a function, and writes it as a SavedModel of ours with its frozen graph."""

    def __init__(self, function: SavedFunction, owned: Iterable[object]) -> None:
        """Take *function*, which reads the variables *owned*."""
        self._function = function
        self._owned = owned

    @property
    def signature(self) -> Signature:
        """What the function takes and gives."""
        return self._function.signature

    def run(self, batch: NDArray[np.float32], card: ModelCard) -> NDArray[np.float32]:
        """Run it here, with TensorFlow."""
        return self._function(batch)[card.output]

    def write(self, directory: Path, card: ModelCard) -> ModelCard:
        """Write a SavedModel with both signatures, and `frozen.pb`."""
        export_function(
            lambda image: scores(self._function, image, card),
            self._owned,
            directory,
            card.input,
            output=card.output,
        )
        return replace(card, format="savedmodel", other_formats=("frozen",))


def scores(function: SavedFunction, image: "Tensor", card: ModelCard) -> "Tensor":
    """Return the output of *function* that *card* names."""
    return function.call(image)[card.output]


def write_frozen(function: SavedFunction, directory: Path, card: ModelCard) -> bool:
    """Write `frozen.pb` into *directory* if the function can be frozen; else log why not."""
    batch = function.signature.inputs[0].shape[0]
    size = (card.input.height, card.input.width, 3)
    sample = np.full((1, *size), 0.5, np.float32)
    try:
        graph = freeze(lambda image: scores(function, image, card), (batch, *size), card.output)
        frozen = run_graph(graph, card.output, FILES["frozen"])
        difference = np.abs(frozen(sample)[card.output] - function(sample)[card.output]).max()
    except (ModelInvalid, BackendFailed) as exc:
        # TensorFlow's own message has many lines, of which ours has one.
        _log.warning("no %s beside the SavedModel: %s", FILES["frozen"], exc)
        _log.debug("why there is no %s", FILES["frozen"], exc_info=exc)
        return False
    if not difference < _TOLERANCE:
        _log.warning("no %s beside the SavedModel: it differs by %g", FILES["frozen"], difference)
        return False
    (directory / FILES["frozen"]).write_bytes(graph.SerializeToString())
    return True
