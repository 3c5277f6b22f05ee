"""OpenCV's DNN module: small, quick to start, and fed with frozen graphs or ONNX."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.layout import is_planar, to_planar
from rookery.backends.onnx_signature import onnx_signature
from rookery.backends.options import Options
from rookery.backends.protocol import Signature
from rookery.backends.signature import card_signature, check_batch
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.card import ModelCard
from rookery.models.formats import FILES, choose_format

if TYPE_CHECKING:
    import cv2

# What it says of an operation it does not know, at times inside of another message.
_UNKNOWN: Final = re.compile(r'Can\'t create layer "([^"]*)" of type "([^"]*)"')

_Layout = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class OpenCvBackend:
    """Loads frozen graphs and ONNX models with OpenCV, which is imported by the first load."""

    name = "opencv"

    def __init__(self, options: Options) -> None:
        """Run models as *options* say; OpenCV has one thread pool per process."""
        self._threads = options.threads

    def load(self, directory: Path, card: ModelCard) -> "OpenCvModel":
        """Read the network in *directory* and run it once, which is when OpenCV builds it.

        Raises:
            BackendMissing: OpenCV is not installed.
            ModelInvalid: there is neither format, the file is damaged, has an operation that
                OpenCV does not know, or does not fit *card*.
        """
        chosen = choose_format(card, directory, ("frozen", "onnx"), self.name)
        cv2 = import_opencv()
        cv2.setNumThreads(self._threads)
        path = directory / FILES[chosen]
        try:
            # By its bytes: OpenCV guesses nothing from them, and no name needs to be in ASCII.
            data = np.fromfile(path, np.uint8)
            if not data.size:
                raise ModelInvalid(f"OpenCV cannot load {path}: it is empty")
            if chosen == "frozen":
                net = cv2.dnn.readNetFromTensorflow(data)
            else:
                net = cv2.dnn.readNetFromONNX(data)
        except (OSError, cv2.error) as exc:
            raise ModelInvalid(f"OpenCV cannot load {path}: {_reason(exc)}") from exc
        outputs = tuple(net.getUnconnectedOutLayersNames())
        # Of a frozen graph OpenCV leaves out the last Identity, whose name is the card's.
        if len(outputs) != 1 and card.output not in outputs:
            raise ModelInvalid(
                f"the card's output {card.output!r} does not exist in {path}; the model has "
                f"{', '.join(sorted(outputs)) or 'none'}"
            )
        output = card.output if card.output in outputs else outputs[0]
        # What it may save is less than what it costs in accuracy: over 1e-4 of a probability.
        net.enableWinograd(False)  # noqa: FBT003 - has no name
        model = OpenCvModel(cv2, net, output, card, _layout(path, data, card))
        try:
            model(np.zeros((1, card.input.height, card.input.width, 3), np.float32))
        except BackendFailed as exc:
            raise ModelInvalid(f"OpenCV cannot run {path}: {exc}") from exc
        return model


class OpenCvModel:
    """One network and a lock.

    A network holds the batch it works on, so each thread would need its own, with all the weights
    once more; and as OpenCV's threads work for one caller at a time, that would gain nothing.
    """

    def __init__(
        self, cv2: ModuleType, net: "cv2.dnn.Net", output: str, card: ModelCard, layout: _Layout
    ) -> None:
        """Run *net* up to its layer *output*; *layout* turns a batch into what it takes."""
        self._cv2 = cv2
        self._net = net
        self._layer = output
        self._layout = layout
        self._lock = Lock()
        # OpenCV tells neither names nor shapes: they are the card's, and every answer is checked.
        self._signature = card_signature(card)

    @property
    def signature(self) -> Signature:
        """What the card says: one image batch in, one score per class out."""
        return self._signature

    def __call__(self, batch: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Run one batch of shape (instances, height, width, 3); return the scores by name.

        Raises:
            BackendFailed: *batch* does not fit, or OpenCV raised an error or gave another shape.
        """
        check_batch(batch, self._signature)
        blob = self._layout(batch)
        try:
            with self._lock:
                self._net.setInput(blob)
                # Copied: the network's own memory is the next caller's.
                scores = np.array(self._net.forward(self._layer), np.float32)
        except self._cv2.error as exc:
            raise BackendFailed(f"OpenCV failed on {batch.shape}: {_reason(exc)}") from exc
        (spec,) = self._signature.outputs
        _, classes = spec.shape
        # Some networks keep sides of length 1: (batch, classes, 1, 1).
        if scores.shape[:1] != batch.shape[:1] or scores.size != len(batch) * (classes or 0):
            raise BackendFailed(
                f"the output {spec.name!r} is float32{scores.shape}, it must be "
                f"float32({len(batch)}, {classes})"
            )
        return {spec.name: scores.reshape(len(batch), -1)}


def import_opencv() -> ModuleType:
    """Import OpenCV.

    Raises:
        BackendMissing: it is not installed.
    """
    # Its log repeats in many lines what its exceptions say. Read once, when it is loaded.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    try:
        import cv2  # noqa: PLC0415 - a heavy, optional library
    except ModuleNotFoundError as exc:
        if exc.name != "cv2":
            raise
        raise BackendMissing('OpenCV is not installed; run: pip install "rookery[opencv]"') from exc
    module: ModuleType = cv2
    return module


def _layout(path: Path, data: NDArray[np.uint8], card: ModelCard) -> _Layout:
    """Return how a batch is laid out for the network in *data*: OpenCV does not compare."""
    if path.name == FILES["frozen"]:
        return to_planar  # whatever it took in TensorFlow
    signature = onnx_signature(data.tobytes(), str(path))
    return to_planar if is_planar(signature.inputs[0], card) else _as_is


def _as_is(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(batch)


def _reason(exc: Exception) -> str:
    """OpenCV's messages begin with a version and a C++ source position; `err` is what follows."""
    said = str(getattr(exc, "err", "") or exc)
    if unknown := _UNKNOWN.search(said):
        layer, operation = unknown.groups()
        return f"it does not know the operation {operation!r} of layer {layer!r}"
    return said.strip("> \n").partition("\n")[0] or type(exc).__name__
