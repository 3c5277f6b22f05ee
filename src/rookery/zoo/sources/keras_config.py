"""Whether a Keras file describes layers only: looked at before Keras builds anything from it."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from rookery.errors import ModelInvalid

_MAX_BYTES: Final = 64 * 1024 * 1024
# Layers that run Python code, unpickle, or load files named in the description.
_FORBIDDEN: Final = frozenset(
    {
        "FlaxLayer",
        "IntegerLookup",
        "JaxLayer",
        "Lambda",
        "StringLookup",
        "TFSMLayer",
        "TextVectorization",
        "TorchModuleWrapper",
        "__lambda__",
        "function",
    }
)
_MODULES: Final = ("keras.", "tf_keras.", "tensorflow.keras.", "tensorflow.python.keras.")


def check_keras_file(path: Path) -> None:
    """Look at the architecture in the .keras or .h5 file *path*.

    Raises:
        ModelInvalid: there is none, it is damaged, or it has code in it.
    """
    config = _zip_config(path) if path.suffix == ".keras" else _hdf5_config(path)
    try:
        described = json.loads(config)
    except (ValueError, RecursionError) as exc:
        raise ModelInvalid(f"{path} is damaged: what describes its layers is no JSON") from exc
    for part in _objects(described):
        kind, module = part.get("class_name"), part.get("module")
        if kind in _FORBIDDEN:
            raise ModelInvalid(
                f"{path} has a {kind} in it, which could run code or read files on this machine; "
                "export the model as a SavedModel instead: model.export('folder')"
            )
        if isinstance(module, str) and not f"{module}.".startswith(_MODULES):
            raise ModelInvalid(
                f"{path} needs {module}.{kind}, Python code that is not in the file; "
                "export the model as a SavedModel instead: model.export('folder')"
            )


def _zip_config(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo("config.json")
            if entry.file_size > _MAX_BYTES:
                raise ModelInvalid(f"{path} describes its layers in more than {_MAX_BYTES:,} bytes")
            return archive.read(entry)
    except (OSError, zipfile.BadZipFile, LookupError, ValueError, NotImplementedError) as exc:
        raise ModelInvalid(
            f"{path} is no .keras file, or a damaged one: {exc}; "
            "save it again: model.save('x.keras')"
        ) from exc


def _hdf5_config(path: Path) -> str | bytes:
    import h5py  # noqa: PLC0415 - comes with Keras

    try:
        with h5py.File(path) as file:
            config = file.attrs.get("model_config")
    # What h5py raises on damaged files.
    except (OSError, RuntimeError, LookupError, ValueError, TypeError) as exc:
        raise ModelInvalid(
            f"{path} is no HDF5 file, or a damaged one: {exc}; save the model again"
        ) from exc
    if isinstance(config, str | bytes):
        return config
    raise ModelInvalid(
        f"{path} holds weights without the network they belong to; save the whole model with "
        "model.save('x.keras'), or, for a network of the zoo: "
        f"rookery models pull NAME --file {path.name}"
    )


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    """Yield every JSON object in *value*, however deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
