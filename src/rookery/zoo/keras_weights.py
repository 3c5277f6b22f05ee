"""Weights as Keras saves them, in an HDF5 file, to the layers of a network."""

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile, ZipFile

from rookery.errors import ModelInvalid

if TYPE_CHECKING:
    import h5py
    import keras

# Keras has no error type of its own; this is what damaged and foreign files raise, HDF5 or zip.
_FAILURES: Final = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    BadZipFile,
    zlib.error,
)


def load_weights(model: "keras.Model", path: Path) -> None:
    """Load the weights in the HDF5 or .keras file at *path* into *model*, layer by layer.

    Raises:
        ModelInvalid: it is no such file, or another network's; the first tensor that does not fit
            is named.
    """
    try:
        _check_archive(path)
        model.load_weights(path)
    except _FAILURES as exc:
        first = str(exc).strip().partition("\n")[0]
        reason = _first_misfit(model, path) or first.rstrip(" .:;") or type(exc).__name__
        raise ModelInvalid(
            f"{path} holds no weights of {model.name}: {reason}; "
            "a whole model of your own comes in with: rookery models import"
        ) from exc


def _check_archive(path: Path) -> None:
    """Compare the checksums of a .keras file: Keras reads around them."""
    if path.suffix == ".keras":
        with ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise BadZipFile(f"its part {damaged} is damaged")


def _first_misfit(model: "keras.Model", path: Path) -> str | None:
    """Name the first tensor of the file that is not *model*'s; None where the file tells none."""
    import h5py  # noqa: PLC0415 - comes with Keras

    try:
        with h5py.File(path) as file:
            saved = _shapes(file.get("model_weights", file))
    except (OSError, LookupError, AttributeError, TypeError, ValueError):
        return None
    wanted = [(weight.path, tuple(weight.shape)) for weight in model.weights]
    for (name, shape), (place, expected) in zip(saved, wanted, strict=False):
        if shape != expected:
            return f"its tensor {name} is {shape}, {place} takes {expected}"
    if saved and len(saved) != len(wanted):
        return f"it has {len(saved)} tensors, the network {len(wanted)}"
    return None


def _shapes(group: "h5py.Group") -> list[tuple[str, tuple[int, ...]]]:
    """Return the tensors of a file as Keras wrote them before its version 3, in their order."""
    return [
        (weight, group[layer][weight].shape)
        for layer in _names(group, "layer_names")
        for weight in _names(group[layer], "weight_names")
    ]


def _names(group: "h5py.Group", attribute: str) -> list[str]:
    return [
        name.decode() if isinstance(name, bytes) else str(name)
        for name in group.attrs.get(attribute, ())
    ]
