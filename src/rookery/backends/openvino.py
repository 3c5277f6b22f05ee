"""The fast CPU backend: OpenVINO reads every format a version may have, without converting it."""

import hashlib
import json
import logging
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.compiled import CompiledModels
from rookery.backends.layout import interleaved, is_planar, to_planar
from rookery.backends.options import Options
from rookery.backends.protocol import Signature, TensorSpec
from rookery.backends.signature import check_batch, check_signature
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.card import ModelCard, ModelFormat
from rookery.models.formats import FILES, choose_format, formats

if TYPE_CHECKING:
    import openvino

_log = logging.getLogger(__name__)

_Properties = dict[str, str | int | bool]

SIGNATURE: Final = "serving_default"
"""The one signature OpenVINO's SavedModel reader looks for."""
# What is closest to OpenVINO first.
_FORMATS: Final[tuple[ModelFormat, ...]] = ("openvino", "savedmodel", "onnx", "frozen")


class OpenVinoBackend:
    """Loads models with OpenVINO, which is imported by the first load."""

    name = "openvino"

    def __init__(self, options: Options) -> None:
        """Run models as *options* say."""
        self._options = options

    def load(self, directory: Path, card: ModelCard) -> "OpenVinoModel":
        """Read and compile the model in *directory*, or take what an earlier load compiled.

        Raises:
            BackendMissing: OpenVINO is not installed.
            ModelInvalid: no format OpenVINO reads is there, it is damaged, or does not fit *card*.
        """
        chosen = self._choose(directory, card)
        library = import_openvino()
        try:
            compiled = self._compile(library, directory, chosen, card)
        # OpenVINO raises RuntimeError for everything that comes from its C++ side.
        except RuntimeError as exc:
            raise ModelInvalid(f"OpenVINO cannot load {directory}: {_reason(exc)}") from exc
        model = OpenVinoModel(compiled, card)
        check_signature(model.signature, directory, card)
        return model

    def _choose(self, directory: Path, card: ModelCard) -> ModelFormat:
        if card.signature == SIGNATURE:
            return choose_format(card, directory, _FORMATS, self.name)
        others = tuple(one for one in _FORMATS if one != "savedmodel")
        if "savedmodel" in formats(card) and not set(others).intersection(formats(card)):
            raise ModelInvalid(
                f"openvino runs the signature {SIGNATURE!r}, the card names {card.signature!r}; "
                "export the model with that name or choose ROOKERY_BACKEND=tensorflow"
            )
        return choose_format(card, directory, others, self.name)

    def _compile(
        self, library: ModuleType, directory: Path, chosen: ModelFormat, card: ModelCard
    ) -> "openvino.CompiledModel":
        core = _core(library)
        properties = _properties(self._options)

        def compile_file() -> "openvino.CompiledModel":
            path = directory if chosen == "savedmodel" else directory / FILES[chosen]
            return core.compile_model(core.read_model(path), "CPU", properties)

        # Without the digests of its files nothing tells one model from another.
        if self._options.cache is None or not card.files:
            return compile_file()
        kept = CompiledModels(self._options.cache)
        key = _key(core, library.__version__, properties, chosen, card)
        blob = kept.read(key)
        if blob is not None:
            try:
                return core.import_model(
                    library.Tensor(np.frombuffer(blob, np.uint8)), "CPU", properties
                )
            except RuntimeError as exc:
                _log.warning("a compiled model is not taken (%s); compiling anew", _reason(exc))
        compiled = compile_file()
        kept.write(key, compiled.export_model().getvalue())
        return compiled


@cache
def _core(library: ModuleType) -> "openvino.Core":
    """Return the one that this process has.

    Each gives the thread a signal stack, and when two of them end in the order in which they began,
    they leave one that is no longer mapped: the next signal then ends the process.
    """
    core: openvino.Core = library.Core()
    # Mapped, the weights would be whatever becomes of their file while the process lives, or where
    # its snapshot wakes.
    core.set_property({"ENABLE_MMAP": False})
    return core


class OpenVinoModel:
    """A compiled model and its idle infer requests: as many as threads ever ran at once."""

    def __init__(self, compiled: "openvino.CompiledModel", card: ModelCard) -> None:
        """Take names, types and shapes from *compiled*; of an output's names the *card*'s."""
        self._compiled = compiled
        self._idle: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        inputs = tuple(_spec(port, card) for port in compiled.inputs)
        self._planar = len(inputs) == 1 and is_planar(inputs[0], card)
        self._signature = Signature(
            inputs=(interleaved(inputs[0]),) if self._planar else inputs,
            outputs=tuple(_spec(port, card) for port in compiled.outputs),
        )

    @property
    def signature(self) -> Signature:
        """What the model takes and gives, with the names that TensorFlow has for them."""
        return self._signature

    def __call__(self, batch: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Run one batch of shape (instances, height, width, 3); return outputs by name.

        Raises:
            BackendFailed: *batch* does not fit, or OpenVINO raised an error.
        """
        check_batch(batch, self._signature)
        request = self._take()
        try:
            blob = to_planar(batch) if self._planar else batch
            results = request.infer({0: blob}, share_inputs=True)
            # Copied: the request's own memory is the next caller's.
            return {
                spec.name: np.array(results[index], np.float32)
                for index, spec in enumerate(self._signature.outputs)
            }
        except (RuntimeError, ValueError, TypeError) as exc:
            raise BackendFailed(f"OpenVINO failed on {batch.shape}: {_reason(exc)}") from exc
        finally:
            self._idle.put(request)

    def _take(self) -> "openvino.InferRequest":
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._compiled.create_infer_request()


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry.

    Raises:
        BackendMissing: it is not installed.
    """
    # It reports its import to Google Analytics, from a thread and through a socket, both of which
    # a snapshot forbids. None makes that an ImportError, upon which it uses a stub; so does NNCF.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino  # noqa: PLC0415 - a heavy, optional library
    except ModuleNotFoundError as exc:
        if exc.name != "openvino":
            raise
        raise BackendMissing(
            'OpenVINO is not installed; run: pip install "rookery[openvino]"'
        ) from exc
    module: ModuleType = openvino
    return module


def _properties(options: Options) -> _Properties:
    return {
        "PERFORMANCE_HINT": options.performance.upper(),
        # OpenVINO's own choice is to pin, always from the first CPU on: two processes that share
        # a machine would share those.
        "ENABLE_CPU_PINNING": options.pin,
        "INFERENCE_NUM_THREADS": options.threads,
    }


def _key(
    core: "openvino.Core",
    library: str,
    properties: _Properties,
    chosen: ModelFormat,
    card: ModelCard,
) -> str:
    """Name all that a compiled model depends on."""
    facts = {
        "files": card.files,
        "format": chosen,
        "library": library,
        "cpu": [
            str(core.get_property("CPU", name))
            for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
        ],
        "properties": properties,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{card.name}-{card.version}-openvino-{digest[:32]}"


def _spec(port: "openvino.ConstOutput", card: ModelCard) -> TensorSpec:
    # A tensor may carry several names, in frozen graphs with the number of an output; where none
    # is the card's, the shortest is the SavedModel's own.
    found = port.get_names() or {port.get_any_name()}
    names = {name.removesuffix(":0") for name in found}
    name = card.output if card.output in names else min(names, key=lambda one: (len(one), one))
    shape = tuple(
        None if dimension.is_dynamic else dimension.get_length()
        for dimension in port.get_partial_shape()
    )
    return TensorSpec(name, port.get_element_type().to_dtype().name, shape)


def _reason(exc: Exception) -> str:
    """OpenVINO's messages begin with C++ source positions; the cause stands last.

    Of operations it does not know it makes a list, with advice for programmers after it.
    """
    lines = str(exc).strip().splitlines()
    listed = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
    return "; ".join(listed) or (lines[-1] if lines else type(exc).__name__)
