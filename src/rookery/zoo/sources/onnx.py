"""An ONNX model, kept as it is."""

from pathlib import Path
from typing import Final

from rookery.backends.onnx_signature import onnx_signature
from rookery.models.formats import FILES
from rookery.zoo.sources.library_source import LibrarySource

_BACKENDS: Final = ("openvino", "opencv")


def open_onnx(path: Path, scratch: Path) -> LibrarySource:
    """Read the model in the file *path*.

    Raises:
        ModelInvalid: it is no ONNX model, is damaged, or keeps its weights in other files.
    """
    signature = onnx_signature(path.read_bytes(), str(path))
    return LibrarySource(signature, "onnx", {FILES["onnx"]: path}, _BACKENDS, scratch)
