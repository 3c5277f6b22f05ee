"""TensorFlow, three ways: the SavedModel's own function, a frozen graph, and compiled by XLA."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from rookery.backends.freezing import freeze
from rookery.backends.frozen_graph import open_frozen, run_graph
from rookery.backends.options import Options
from rookery.backends.protocol import LoadedModel
from rookery.backends.savedmodel import (
    SavedFunction,
    first_line,
    import_tensorflow,
    open_savedmodel,
)
from rookery.backends.signature import check_signature
from rookery.backends.tensorflow_runtime import settle_runtime
from rookery.errors import BackendFailed, ModelInvalid
from rookery.models.card import ModelCard
from rookery.models.formats import FILES, choose_format

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensorflow import Tensor

_FROZEN: Final = FILES["frozen"]


class TensorFlowBackend:
    """The reference: runs any signature of a SavedModel as it is; else the frozen graph."""

    name = "tensorflow"

    def __init__(self, options: Options) -> None:
        """Run models as *options* say; the first load settles it for the whole process."""
        self._options = options

    def load(self, directory: Path, card: ModelCard) -> LoadedModel:
        """Load the model in *directory*.

        Raises:
            BackendMissing: TensorFlow is not installed.
            ModelInvalid: no format TensorFlow reads is there, it is damaged, or does not fit
                *card*.
        """
        return self._open(directory, card)

    def _open(self, directory: Path, card: ModelCard) -> SavedFunction:
        chosen = choose_format(card, directory, ("savedmodel", "frozen"), self.name)
        settle_runtime(import_tensorflow(), self._options)
        model = (
            open_savedmodel(directory, card.signature)
            if chosen == "savedmodel"
            else open_frozen(directory / _FROZEN, card.output)
        )
        check_signature(model.signature, directory, card)
        return model


class FrozenTensorFlowBackend(TensorFlowBackend):
    """Runs one graph of constants, in which more can be fused and nothing is looked up."""

    name = "tensorflow-frozen"

    def _open(self, directory: Path, card: ModelCard) -> SavedFunction:
        """Load the frozen graph; where the version has none, freeze its SavedModel."""
        chosen = choose_format(card, directory, ("frozen", "savedmodel"), self.name)
        if chosen == "savedmodel":
            saved = super()._open(directory, card)
            shape = saved.signature.inputs[0].shape
            graph = freeze(lambda image: saved.call(image)[card.output], shape, card.output)
            model = run_graph(graph, card.output, str(directory))
        else:
            settle_runtime(import_tensorflow(), self._options)
            model = open_frozen(directory / _FROZEN, card.output)
        check_signature(model.signature, directory, card)
        return model


class XlaTensorFlowBackend(TensorFlowBackend):
    """Compiles the model for each batch size it meets; for one image while it is loaded."""

    name = "tensorflow-xla"

    def _open(self, directory: Path, card: ModelCard) -> SavedFunction:
        plain = super()._open(directory, card)
        tf = import_tensorflow()
        spec = tf.TensorSpec(plain.signature.inputs[0].shape, tf.float32)
        compiled = tf.function(plain.call, input_signature=[spec], jit_compile=True)

        def call(image: "Tensor") -> "Mapping[str, Tensor]":
            outputs: Mapping[str, Tensor] = compiled(image)
            return outputs

        model = SavedFunction(tf, plain.signature, call)
        try:
            model(np.zeros((1, card.input.height, card.input.width, 3), np.float32))
        except BackendFailed as exc:
            raise ModelInvalid(
                f"XLA cannot compile the model in {directory}: {first_line(exc)}; "
                "choose ROOKERY_BACKEND=tensorflow"
            ) from exc
        return model
