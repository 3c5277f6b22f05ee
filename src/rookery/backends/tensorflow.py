"""The reference backend: TensorFlow runs the SavedModel's own signature."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import Signature, TensorSpec
from rookery.backends.signature import check_signature
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.card import ModelCard

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow.types.experimental import ConcreteFunction

logger = logging.getLogger(__name__)


class TensorFlowBackend:
    """Loads SavedModels with TensorFlow, which is imported by the first load."""

    name = "tensorflow"

    def __init__(self, threads: int | None = None) -> None:
        """Compute one batch on *threads* threads; None is all cores.

        TensorFlow has one thread pool per process: the first load fixes its size.
        """
        self._threads = threads

    def load(self, directory: Path, card: ModelCard) -> "TensorFlowModel":
        """Load the SavedModel in *directory*.

        Raises:
            BackendMissing: TensorFlow is not installed.
            ModelInvalid: there is no SavedModel, it is damaged, or it does not fit *card*.
        """
        if card.format != "savedmodel":
            raise ModelInvalid(
                f"tensorflow reads SavedModels; {card.name}/{card.version} is {card.format!r}"
            )
        tf = import_tensorflow()
        self._limit_threads(tf)
        try:
            loaded = tf.saved_model.load(str(directory))
        # SavedModel loading has no error type of its own: this is what damaged files raise.
        except (
            OSError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RuntimeError,
            tf.errors.OpError,
        ) as exc:
            raise ModelInvalid(f"TensorFlow cannot load {directory}: {_first_line(exc)}") from exc
        function = loaded.signatures.get(card.signature)
        if function is None:
            there = ", ".join(sorted(loaded.signatures)) or "none"
            raise ModelInvalid(
                f"the SavedModel in {directory} has no signature {card.signature!r}; it has {there}"
            )
        model = TensorFlowModel(tf, loaded, function)
        check_signature(model.signature, directory, card)
        return model

    def _limit_threads(self, tf: ModuleType) -> None:
        if self._threads is None:
            return
        try:
            tf.config.threading.set_intra_op_parallelism_threads(self._threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            # Too late: an earlier load started the pool. Slower or greedier, but not wrong.
            logger.warning("TensorFlow already runs; its thread count stays as it is")


class TensorFlowModel:
    """One signature of a loaded SavedModel. TensorFlow functions may run on many threads."""

    def __init__(self, tf: ModuleType, loaded: object, function: "ConcreteFunction") -> None:
        """Keep *loaded*: it owns the variables that *function* reads."""
        self._tf = tf
        self._loaded = loaded
        self._function = function
        _, inputs = function.structured_input_signature
        self._signature = Signature(
            inputs=tuple(_spec(name, spec) for name, spec in inputs.items()),
            outputs=tuple(_spec(name, spec) for name, spec in function.structured_outputs.items()),
        )

    @property
    def signature(self) -> Signature:
        """The signature named by the model card."""
        return self._signature

    def __call__(self, batch: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Run one batch of shape (instances, height, width, 3); return outputs by name.

        Raises:
            BackendFailed: TensorFlow raised an error.
        """
        try:
            outputs = self._function(**{self._signature.inputs[0].name: self._tf.constant(batch)})
        except (ValueError, TypeError, self._tf.errors.OpError) as exc:
            raise BackendFailed(f"TensorFlow failed on {batch.shape}: {_first_line(exc)}") from exc
        return {name: tensor.numpy() for name, tensor in outputs.items()}


def import_tensorflow() -> ModuleType:
    """Import TensorFlow, quietly unless the environment asks for its log.

    Raises:
        BackendMissing: it is not installed.
    """
    # Read by the C++ side while the library is loaded, so it must be set before, once.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow  # noqa: PLC0415 - takes seconds
    except ModuleNotFoundError as exc:
        if exc.name != "tensorflow":
            raise
        raise BackendMissing(
            'TensorFlow is not installed; run: pip install "tensorflow-cpu>=2.21,<2.22", '
            "or choose ROOKERY_BACKEND=openvino"
        ) from exc
    return tensorflow


def _spec(name: str, spec: "tf.TensorSpec") -> TensorSpec:
    shape = tuple(spec.shape) if spec.shape.rank is not None else ()
    return TensorSpec(name, spec.dtype.name, shape)


def _first_line(exc: Exception) -> str:
    """TensorFlow's messages go on with graphs and tracebacks; their first line says it."""
    return str(exc).strip().partition("\n")[0] or type(exc).__name__
