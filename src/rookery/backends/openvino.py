"""The fast CPU backend: OpenVINO reads the SavedModel as it is, without converting it."""

from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rookery.backends.options import Options
from rookery.backends.protocol import Signature, TensorSpec
from rookery.backends.signature import check_batch, check_signature
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.card import ModelCard

if TYPE_CHECKING:
    import openvino

# The one signature OpenVINO's SavedModel reader looks for.
_SIGNATURE = "serving_default"


class OpenVinoBackend:
    """Loads SavedModels with OpenVINO, which is imported by the first load."""

    name = "openvino"

    def __init__(self, options: Options) -> None:
        """Run models as *options* say."""
        self._threads = options.threads

    def load(self, directory: Path, card: ModelCard) -> "OpenVinoModel":
        """Read and compile the SavedModel in *directory* for the lowest latency of one batch.

        Raises:
            BackendMissing: OpenVINO is not installed.
            ModelInvalid: there is no SavedModel, it is damaged, or it does not fit *card*.
        """
        if card.format != "savedmodel":
            raise ModelInvalid(
                f"openvino reads SavedModels; {card.name}/{card.version} is {card.format!r}"
            )
        if card.signature != _SIGNATURE:
            raise ModelInvalid(
                f"openvino runs the signature {_SIGNATURE!r}, the card names {card.signature!r}; "
                "export the model with that name or choose ROOKERY_BACKEND=tensorflow"
            )
        if not (directory / "saved_model.pb").is_file():
            raise ModelInvalid(f"{directory} holds no SavedModel: no saved_model.pb is in it")
        try:
            import openvino  # noqa: PLC0415 - a heavy, optional library
        except ModuleNotFoundError as exc:
            if exc.name != "openvino":
                raise
            raise BackendMissing(
                'OpenVINO is not installed; run: pip install "rookery[openvino]"'
            ) from exc
        options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY"}
        if self._threads is not None:
            options["INFERENCE_NUM_THREADS"] = self._threads
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(directory), "CPU", options)
        # OpenVINO raises RuntimeError for everything that comes from its C++ side.
        except RuntimeError as exc:
            raise ModelInvalid(f"OpenVINO cannot load {directory}: {_last_line(exc)}") from exc
        model = OpenVinoModel(compiled)
        check_signature(model.signature, directory, card)
        return model


class OpenVinoModel:
    """A compiled model and its idle infer requests: as many as threads ever ran at once."""

    def __init__(self, compiled: "openvino.CompiledModel") -> None:
        """Take names, types and shapes from *compiled*."""
        self._compiled = compiled
        self._idle: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        self._signature = Signature(
            inputs=tuple(_spec(port) for port in compiled.inputs),
            outputs=tuple(_spec(port) for port in compiled.outputs),
        )

    @property
    def signature(self) -> Signature:
        """The SavedModel's `serving_default`, with the same names as TensorFlow gives it."""
        return self._signature

    def __call__(self, batch: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Run one batch of shape (instances, height, width, 3); return outputs by name.

        Raises:
            BackendFailed: *batch* does not fit, or OpenVINO raised an error.
        """
        check_batch(batch, self._signature)
        request = self._take()
        try:
            results = request.infer({0: batch}, share_inputs=True)
            # Copied: the request's own memory is the next caller's.
            return {
                spec.name: np.array(results[index], np.float32)
                for index, spec in enumerate(self._signature.outputs)
            }
        except (RuntimeError, ValueError, TypeError) as exc:
            raise BackendFailed(f"OpenVINO failed on {batch.shape}: {_last_line(exc)}") from exc
        finally:
            self._idle.put(request)

    def _take(self) -> "openvino.InferRequest":
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._compiled.create_infer_request()


def _spec(port: "openvino.ConstOutput") -> TensorSpec:
    # A tensor may carry several names; the shortest is the SavedModel's own.
    name = min(port.get_names() or {port.get_any_name()}, key=lambda name: (len(name), name))
    shape = tuple(
        None if dimension.is_dynamic else dimension.get_length()
        for dimension in port.get_partial_shape()
    )
    return TensorSpec(name, port.get_element_type().to_dtype().name, shape)


def _last_line(exc: Exception) -> str:
    """OpenVINO's messages begin with C++ source positions; the cause stands last."""
    return str(exc).strip().rpartition("\n")[2] or type(exc).__name__
