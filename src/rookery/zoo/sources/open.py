"""Which kind of model file a path is, and the source that reads it."""

from pathlib import Path
from typing import Final

from rookery.errors import ModelInvalid
from rookery.models.formats import FILES
from rookery.zoo.sources.frozen import FrozenSource
from rookery.zoo.sources.keras_file import open_keras
from rookery.zoo.sources.onnx import open_onnx
from rookery.zoo.sources.openvino_ir import open_openvino
from rookery.zoo.sources.savedmodel import SavedModelSource
from rookery.zoo.sources.source import Choices, Source

_KINDS: Final = (
    "a SavedModel folder, a .keras or .h5 file, a frozen graph (.pb), an .onnx file, "
    "or OpenVINO's .xml with its .bin"
)
# Weights without the network that they belong to; most are pickles, which are never opened.
_WEIGHTS: Final = frozenset(
    {".bin", ".ckpt", ".data", ".index", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"}
    | {".joblib", ".safetensors"}
)


def open_source(path: Path, choices: Choices, scratch: Path) -> Source:
    """Open the model at *path*; *scratch* is an empty folder that lives as long as the source.

    Raises:
        ModelInvalid: it is no model that Rookery reads, or a damaged one.
        BackendMissing: the library that reads it is not installed.
    """
    try:
        if path.is_dir():
            return SavedModelSource(path, choices)
        return _open_file(path, choices, scratch)
    except OSError as exc:
        raise ModelInvalid(f"{path} cannot be read: {exc.strerror or exc}") from exc


def _open_file(path: Path, choices: Choices, scratch: Path) -> Source:
    match path.suffix.lower():
        case ".keras" | ".h5" | ".hdf5":
            return open_keras(path)
        case ".pb" if path.name != FILES["savedmodel"]:
            return FrozenSource(path, choices)
        case ".pb":
            raise ModelInvalid(
                f"{path} is a part of a SavedModel; import the folder it lies in: {path.parent}"
            )
        case ".onnx":
            return open_onnx(path, scratch)
        case ".xml":
            return open_openvino(path, scratch)
        case suffix if suffix in _WEIGHTS or path.name.startswith("model.ckpt"):
            raise ModelInvalid(
                f"{path} holds weights without the network they belong to, or code in a pickle; "
                "export the model to ONNX or as a SavedModel where it was made, or, for a "
                f"network of the zoo: rookery models pull NAME --file {path.name}"
            )
    raise ModelInvalid(f"{path} is no model that can be imported; that is {_KINDS}")
