"""Weights as TF-Slim saves them, a checkpoint or a frozen graph, to the layers of a network."""

import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.savedmodel import first_line, import_tensorflow
from rookery.errors import ModelInvalid
from rookery.zoo.sources.frozen import read_graph

if TYPE_CHECKING:
    import keras

_MAX_BYTES: Final = 1024**3
_CHUNK: Final = 1024**2
_ARCHIVES: Final = (".tar.gz", ".tgz", ".tar")
# The parts of a checkpoint of TensorFlow's second format; they are opened by what is before.
_PARTS: Final = (".index", ".meta", ".data-00000-of-00001")

# Keras layer -> its variables in Keras' order.
_VARIABLES: Final[dict[str, tuple[str, ...]]] = {
    "Conv2D": ("weights",),
    "BatchNormalization": ("beta", "moving_mean", "moving_variance"),
    "Dense": ("weights", "biases"),
}


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of a file: their shapes, and how to read one."""

    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], NDArray[np.float32]]


def load_weights(model: "keras.Model", path: Path, *, scope: str) -> None:
    """Copy the variables of *scope* in the file at *path* into the layers of their names.

    The file is a checkpoint of either format (of the second, any part), a `.tar.gz` with one, or a
    frozen graph (`.pb`). The last layer's class 0, TF-Slim's background, is dropped. *model* has
    dots where TF-Slim's names have slashes.

    Raises:
        ModelInvalid: it is none of these, or another network's; the first variable that is
            missing or of another shape is named.
    """
    try:
        with open_variables(path) as variables:
            for layer in model.layers:
                if layer.weights:
                    layer.set_weights(_layer_weights(layer, variables, scope))
    except ModelInvalid as exc:
        raise ModelInvalid(f"{path} holds no weights of {model.name}: {exc}") from exc


@contextmanager
def open_variables(path: Path) -> Iterator[Variables]:
    """Yield the variables in the file at *path*, which is read while the context lasts.

    Raises:
        ModelInvalid: it is no checkpoint, no archive of one and no frozen graph.
    """
    if path.name.endswith(_ARCHIVES):
        with tempfile.TemporaryDirectory(prefix="rookery-slim-") as folder:
            yield _checkpoint(_unpack(path, Path(folder)), path)
    elif path.suffix == ".pb":
        yield _frozen(path)
    else:
        part = next((part for part in _PARTS if path.name.endswith(part)), "")
        yield _checkpoint(path.with_name(path.name.removesuffix(part)), path)


def _checkpoint(prefix: Path, given: Path) -> Variables:
    """Open the checkpoint *prefix*; messages name *given*, the file it came in."""
    tf = import_tensorflow()

    def told(exc: Exception) -> str:
        return first_line(exc).replace(str(prefix), str(given))

    try:
        reader = tf.train.load_checkpoint(str(prefix))
    except (ValueError, RuntimeError, tf.errors.OpError) as exc:
        raise ModelInvalid(f"TensorFlow reads no checkpoint there: {told(exc)}") from exc

    def read(name: str) -> NDArray[np.float32]:
        try:
            return np.asarray(reader.get_tensor(name))
        # IndexError, of all things, where the file of numbers is cut off.
        except (ValueError, RuntimeError, LookupError, tf.errors.OpError) as exc:
            raise ModelInvalid(f"variable {name} is damaged: {told(exc)}") from exc

    shapes = reader.get_variable_to_shape_map()
    return Variables({name: tuple(shape) for name, shape in shapes.items()}, read)


def _frozen(path: Path) -> Variables:
    """Return the constants of a frozen graph: freezing leaves variables their names."""
    tf = import_tensorflow()
    try:
        graph = read_graph(path)
    except OSError as exc:
        raise ModelInvalid(f"it cannot be read: {exc.strerror or exc}") from exc
    constants = {node.name: node.attr["value"].tensor for node in graph.node if node.op == "Const"}

    def read(name: str) -> NDArray[np.float32]:
        try:
            return np.asarray(tf.make_ndarray(constants[name]))
        except (ValueError, TypeError) as exc:
            raise ModelInvalid(f"constant {name} is damaged: {first_line(exc)}") from exc

    shapes = {
        name: tuple(axis.size for axis in tensor.tensor_shape.dim)
        for name, tensor in constants.items()
    }
    return Variables(shapes, read)


def _unpack(archive: Path, folder: Path) -> Path:
    """Write the one checkpoint in *archive* into *folder*, under a name of ours."""
    try:
        with tarfile.open(archive) as tar:
            members = [member for member in tar if member.name.endswith(".ckpt")]
            if len(members) != 1 or not members[0].isfile() or members[0].size > _MAX_BYTES:
                raise ModelInvalid(
                    f"it holds {len(members)} files *.ckpt; an archive of TF-Slim has one: "
                    "unpack it, and give the checkpoint"
                )
            content = tar.extractfile(members[0])
            target = folder / "model.ckpt"
            target.write_bytes(content.read() if content else b"")
            # The checksum of a compressed file is behind its last byte.
            while tar.fileobj.read(_CHUNK):
                pass
            return target
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as exc:
        raise ModelInvalid(f"it is no archive, or a damaged one: {exc}") from exc


def _layer_weights(
    layer: "keras.Layer", variables: Variables, scope: str
) -> list[NDArray[np.float32]]:
    place = f"{scope}/{layer.name.replace('.', '/')}"
    weights = []
    names = _VARIABLES[type(layer).__name__]
    for name, weight in zip(names, layer.weights, strict=True):
        variable, expected = f"{place}/{name}", tuple(weight.shape)
        classifies = type(layer).__name__ == "Dense"
        if classifies:
            # A convolution of 1x1 there, with one class more.
            *before, classes = expected
            expected = (*((1, 1) if before else ()), *before, classes + 1)
        found = variables.shapes.get(variable)
        if found is None:
            there = next(iter(sorted(variables.shapes)), None)
            raise ModelInvalid(f"it has no variable {variable}; its first is {there}")
        if found != expected:
            raise ModelInvalid(f"variable {variable} is {found}, the network's is {expected}")
        value = variables.read(variable)
        if value.dtype != np.float32 or value.shape != expected:
            raise ModelInvalid(f"variable {variable} is {value.dtype}{value.shape}, not float32")
        weights.append(value[..., 1:].reshape(tuple(weight.shape)) if classifies else value)
    return weights
