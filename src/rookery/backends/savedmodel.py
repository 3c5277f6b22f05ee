"""Runs one signature of a SavedModel with TensorFlow, to serve it or to look at it."""

import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import Signature, TensorSpec
from rookery.backends.signature import check_batch
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorflow import Tensor
    from tensorflow import TensorSpec as TfSpec

_NODE: Final = "[[{{node"


class SavedFunction:
    """A loaded model. TensorFlow functions may run on many threads at once."""

    def __init__(
        self,
        tf: ModuleType,
        signature: Signature,
        call: "Callable[[Tensor], Mapping[str, Tensor]]",
    ) -> None:
        """Run *call*, which owns what it needs, and takes the only input of *signature*."""
        self._tf = tf
        self._signature = signature
        self._call = call

    @property
    def signature(self) -> Signature:
        """What the model takes and gives."""
        return self._signature

    def __call__(self, batch: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Run one batch of shape (instances, height, width, 3); return outputs by name.

        Raises:
            BackendFailed: *batch* does not fit, or TensorFlow raised an error.
        """
        check_batch(batch, self._signature)
        try:
            outputs = self.call(self._tf.constant(batch))
        except (ValueError, TypeError, self._tf.errors.OpError) as exc:
            raise BackendFailed(f"TensorFlow failed on {batch.shape}: {first_line(exc)}") from exc
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def call(self, image: "Tensor") -> "Mapping[str, Tensor]":
        """Run one batch that is TensorFlow's own, to trace, freeze or compile it."""
        return self._call(image)


def open_savedmodel(directory: Path, signature: str) -> SavedFunction:
    """Load the SavedModel in *directory* and return its *signature*.

    Raises:
        BackendMissing: TensorFlow is not installed.
        ModelInvalid: there is no SavedModel, it is damaged, or has no such signature.
    """
    if not (directory / "saved_model.pb").is_file():
        raise ModelInvalid(f"{directory} holds no SavedModel: no saved_model.pb is in it")
    tf = import_tensorflow()
    try:
        loaded = tf.saved_model.load(str(directory))
    # Loading has no error type of its own; this is what damaged files raise. AssertionError and
    # IndexError come from graphs that do not hang together.
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        AssertionError,
        RuntimeError,
        tf.errors.OpError,
    ) as exc:
        raise ModelInvalid(f"TensorFlow cannot load {directory}: {first_line(exc)}") from exc
    function = loaded.signatures.get(signature)
    if function is None:
        there = ", ".join(sorted(loaded.signatures)) or "none"
        raise ModelInvalid(
            f"the SavedModel in {directory} has no signature {signature!r}; it has {there}"
        )
    _, inputs = function.structured_input_signature
    described = Signature(inputs=_specs(inputs), outputs=_specs(function.structured_outputs))
    name = described.inputs[0].name if described.inputs else ""

    def call(image: "Tensor") -> "Mapping[str, Tensor]":
        # Named here so that it lives as long: it owns the variables that the function reads.
        _ = loaded
        outputs: Mapping[str, Tensor] = function(**{name: image})
        return outputs

    return SavedFunction(tf, described, call)


def import_tensorflow() -> ModuleType:
    """Import TensorFlow, quietly unless the environment asks for its log.

    Raises:
        BackendMissing: it is not installed.
    """
    # Read by the C++ side while the library is loaded, so it must be set before, once.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow as tf  # noqa: PLC0415 - takes seconds
    except ModuleNotFoundError as exc:
        if exc.name != "tensorflow":
            raise
        raise BackendMissing(
            'TensorFlow is not installed; run: pip install "tensorflow-cpu>=2.21,<2.22", '
            "or choose ROOKERY_BACKEND=openvino"
        ) from exc
    module: ModuleType = tf
    return module


def tensor_spec(name: str, tensor: "Tensor | TfSpec") -> TensorSpec:
    """Describe *tensor* as *name*; of unknown rank it has no sizes."""
    shape = () if tensor.shape.rank is None else tuple(tensor.shape)
    return TensorSpec(name, tensor.dtype.name, shape)


def _specs(tensors: "Mapping[str, TfSpec]") -> tuple[TensorSpec, ...]:
    """Describe *tensors*, by name: a SavedModel keeps no order."""
    return tuple(tensor_spec(name, spec) for name, spec in sorted(tensors.items()))


def first_line(exc: Exception) -> str:
    """Return the line of *exc* that says what is wrong: graphs and tracebacks stand around it."""
    lines = [line.strip() for line in str(exc).strip().splitlines()]
    # The failing node is named behind the reason; what comes first then is only a heading.
    marked = [before for before, line in pairwise(lines) if _NODE in line]
    return next((line for line in (*marked[:1], *lines) if line), type(exc).__name__)
