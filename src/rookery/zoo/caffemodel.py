"""Weights as Caffe saves them, in a `.caffemodel`, to the layers of a network.

The file is one `NetParameter` message of caffe.proto, in which a layer is either a
`V1LayerParameter` or, since 2014's end, a `LayerParameter`.
"""

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rookery.errors import ModelInvalid
from rookery.protobuf import Field, every, integer, packed, parse

if TYPE_CHECKING:
    import keras

_MAX_BYTES: Final = 1024**3

# BlobProto: the shape as BlobShape, or before that as four numbers.
_SHAPE: Final = 7
_OLD_SHAPE: Final = (1, 2, 3, 4)
_DIMENSIONS: Final = 1
_NUMBERS: Final = 5

# By how many axes a tensor has: Keras' axes in Caffe's order, (out, in, h, w), and Caffe's in
# Keras', (h, w, in, out).
_TO_CAFFE: Final[dict[int, tuple[int, ...]]] = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
_TO_KERAS: Final[dict[int, tuple[int, ...]]] = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}


class _Kind(NamedTuple):
    """Where NetParameter keeps layers of one generation, and they their name and tensors."""

    layers: int
    name: int
    blobs: int


_KINDS: Final = (_Kind(layers=2, name=4, blobs=6), _Kind(layers=100, name=1, blobs=7))


def read_tensors(data: bytes) -> dict[str, list[NDArray[np.float32]]]:
    """Return the tensors of each layer of the network in *data* that has any, in Caffe's order.

    Raises:
        ModelInvalid: *data* is no such message, or damaged.
    """
    if len(data) > _MAX_BYTES:
        raise ModelInvalid(f"it is {len(data):,} bytes, at most {_MAX_BYTES:,} are read")
    found: dict[str, list[NDArray[np.float32]]] = {}
    try:
        network = parse(data)
        for kind in _KINDS:
            for message in every(network, kind.layers):
                layer = parse(message)
                name = b"".join(every(layer, kind.name)).decode()
                blobs = [_tensor(parse(blob)) for blob in every(layer, kind.blobs)]
                if blobs:
                    found[name] = blobs
    except ValueError as exc:
        raise ModelInvalid(f"it is no .caffemodel, or a damaged one: {exc}") from exc
    if not found:
        raise ModelInvalid("it is no .caffemodel, or holds no weights")
    return found


def load_weights(model: "keras.Model", path: Path, *, ignored: tuple[str, ...] = ()) -> None:
    """Copy the tensors of the `.caffemodel` at *path* into the layers of their names.

    Layers of the file whose names start with one of *ignored* are left out. *model* has dots
    where Caffe's names have slashes.

    Raises:
        ModelInvalid: it cannot be read, or a tensor is missing, left over, or of another shape.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ModelInvalid(f"{path} cannot be read: {exc.strerror or exc}") from exc
    try:
        _copy(read_tensors(data), model, ignored)
    except ModelInvalid as exc:
        raise ModelInvalid(f"{path} holds no weights of {model.name}: {exc}") from exc


def _copy(
    tensors: dict[str, list[NDArray[np.float32]]], model: "keras.Model", ignored: tuple[str, ...]
) -> None:
    for layer in model.layers:
        if layer.weights:
            name = layer.name.replace(".", "/")
            layer.set_weights(_fitting(name, tensors.pop(name, None), layer))
    left = [name for name in tensors if not name.startswith(ignored)]
    if left:
        raise ModelInvalid(f"its layer {left[0]} is no layer of the network")


def _tensor(blob: list[Field]) -> NDArray[np.float32]:
    if shapes := every(blob, _SHAPE):
        shape = [size for part in every(parse(shapes[-1]), _DIMENSIONS) for size in packed(part)]
    else:
        shape = [integer(blob, number) for number in _OLD_SHAPE]
    numbers = np.frombuffer(b"".join(every(blob, _NUMBERS)), "<f4")
    if not numbers.size or numbers.size != prod(shape):
        raise ValueError(f"a tensor of shape {tuple(shape)} has {numbers.size:,} numbers")
    return numbers.reshape(shape)


def _fitting(
    name: str, tensors: list[NDArray[np.float32]] | None, layer: "keras.Layer"
) -> list[NDArray[np.float32]]:
    """Return *tensors* as Keras wants them: kernel, then bias."""
    if tensors is None:
        raise ModelInvalid(f"it has no layer {name}")
    if len(tensors) != len(layer.weights):
        raise ModelInvalid(
            f"layer {name} has {len(tensors)} tensors, the network's has {len(layer.weights)}"
        )
    fitting = []
    for tensor, weight in zip(tensors, layer.weights, strict=True):
        wanted = tuple(weight.shape[axis] for axis in _TO_CAFFE[len(weight.shape)])
        # Caffe once wrote four axes for every tensor, the first of them 1.
        leading, shape = tensor.shape[: -len(wanted)], tensor.shape[-len(wanted) :]
        if shape != wanted or set(leading) - {1}:
            raise ModelInvalid(f"a tensor of {name} is {tensor.shape}, the network's is {wanted}")
        turned = tensor.reshape(wanted).transpose(_TO_KERAS[len(wanted)])
        fitting.append(np.ascontiguousarray(turned))
    return fitting
