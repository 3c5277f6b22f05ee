"""Reads the tensors of a legacy PyTorch checkpoint without PyTorch, and without running its code.

A legacy file is five pickles (magic number, protocol version, system information, the state
dictionary, the storage keys) and then the raw storages, each behind its element count. A pickle
can call anything; this reader resolves four names and refuses every other.
"""

import pickle
import pickletools
from collections import OrderedDict
from io import BytesIO
from math import prod
from typing import Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from rookery.errors import ModelInvalid

Tensor = NDArray[np.float32 | np.int64]

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_MAX_BYTES: Final = 2 * 1024**3
_MAX_DIMENSIONS: Final = 8
_COUNT_BYTES: Final = 8
_DTYPES: Final[dict[str, np.dtype[np.float32 | np.int64]]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}

# The operations PyTorch's own writer uses, at pickle protocol 2.
_PUTS: Final = frozenset({"BINPUT", "LONG_BINPUT"})
_OPCODES: Final = _PUTS | {
    "BINGET",
    "BININT",
    "BININT1",
    "BININT2",
    "BINPERSID",
    "BINUNICODE",
    "BUILD",
    "APPEND",
    "APPENDS",
    "EMPTY_DICT",
    "EMPTY_LIST",
    "EMPTY_TUPLE",
    "GLOBAL",
    "LONG1",
    "LONG_BINGET",
    "MARK",
    "NEWFALSE",
    "NEWTRUE",
    "NONE",
    "PROTO",
    "REDUCE",
    "SETITEM",
    "SETITEMS",
    "STOP",
    "TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
}

# What unpickling damaged or hostile bytes raises, beside our own refusal.
_DAMAGED: Final = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ImportError,
    OverflowError,
    MemoryError,
    RecursionError,
    NotImplementedError,
)


# Tuples, not dataclasses: the pickle operation BUILD can overwrite a dataclass' fields.


class _Storage(NamedTuple):
    """A run of numbers that one or more tensors look into."""

    kind: str
    key: str
    length: int


class _View(NamedTuple):
    """A tensor before its numbers are known: offset, shape and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(data: bytes) -> dict[str, Tensor]:
    """Return the state dictionary in *data*, in its own order; tensors are read-only views.

    Raises:
        ModelInvalid: *data* is no legacy checkpoint, is damaged, refers to anything but plain
            float32 and int64 tensors, or reaches outside itself.
    """
    if len(data) > _MAX_BYTES:
        raise ModelInvalid(
            f"the checkpoint is {len(data):,} bytes, at most {_MAX_BYTES:,} are read"
        )
    stream = BytesIO(data)
    try:
        magic, protocol, system, state, keys = [_load(stream) for _ in range(5)]
    except _DAMAGED as exc:
        raise ModelInvalid(
            f"this is no legacy PyTorch checkpoint, or a damaged one: {exc}"
        ) from exc
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise ModelInvalid("this is no legacy PyTorch checkpoint: its magic number is wrong")
    if type(system) is not dict or system.get("little_endian") is not True:
        raise ModelInvalid("the checkpoint was not written on a little-endian machine")
    views = _views(state)
    storages = _read_storages(data, stream.tell(), keys, {view.storage for view in views.values()})
    return {name: _tensor(name, view, storages[view.storage.key]) for name, view in views.items()}


def _load(stream: BytesIO) -> object:
    """Return what the next pickle in *stream* describes, once its opcodes have been looked at."""
    start = stream.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name not in _OPCODES:
            _refuse(f"it uses the pickle operation {opcode.name}")
        if opcode.name in _PUTS and isinstance(argument, int) and argument > count:
            # The unpickler would allocate a memo of that size.
            _refuse("it numbers its parts wrongly")
    stream.seek(start)
    return _Restricted(stream).load()


class _Restricted(pickle.Unpickler):
    """An unpickler that can build numbers, strings, containers and tensor descriptions only."""

    def find_class(self, module_name: str, global_name: str, /) -> object:
        allowed: dict[tuple[str, str], object] = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch", "FloatStorage"): "FloatStorage",
            ("torch", "LongStorage"): "LongStorage",
            ("collections", "OrderedDict"): _ordered_dict,
        }
        found = allowed.get((module_name, global_name))
        if found is None:
            _refuse(
                f"it refers to {module_name}.{global_name}, which no checkpoint of weights needs"
            )
        return found

    def persistent_load(self, pid: object, /) -> _Storage:
        match pid:
            case ("storage", str(kind), str(key), str(), int(count), None) if kind in _DTYPES:
                if count >= 0:
                    return _Storage(kind, key, count)
            case _:
                pass
        return _refuse(f"it refers to something that is no plain storage: {pid!r:.80}")


def _refuse(reason: str) -> NoReturn:
    raise pickle.UnpicklingError(reason)


def _ordered_dict(*args: object) -> OrderedDict[str, object]:
    if args:
        _refuse("it builds a dictionary from arguments")
    return OrderedDict()


def _rebuild_tensor(  # noqa: PLR0913, PLR0917 - the arguments are PyTorch's
    storage: object,
    offset: object,
    shape: object,
    strides: object,
    requires_grad: object = None,
    hooks: object = None,
) -> _View:
    del requires_grad, hooks
    if (
        not isinstance(storage, _Storage)
        or not isinstance(offset, int)
        or not isinstance(shape, tuple)
        or not isinstance(strides, tuple)
        or not all(isinstance(size, int) and size >= 0 for size in (offset, *shape, *strides))
        or not len(shape) == len(strides) <= _MAX_DIMENSIONS
    ):
        _refuse("it describes a tensor that cannot be")
    return _View(storage, offset, shape, strides)


def _views(state: object) -> dict[str, _View]:
    if not isinstance(state, dict):
        raise ModelInvalid("the checkpoint holds no state dictionary")
    # dict.items, because BUILD can also give an OrderedDict an attribute called items.
    views = {str(name): view for name, view in dict.items(state) if isinstance(view, _View)}
    if len(views) != len(state):
        raise ModelInvalid("the checkpoint's state dictionary holds more than tensors")
    return views


def _read_storages(
    data: bytes, position: int, keys: object, wanted: set[_Storage]
) -> dict[str, Tensor]:
    """Return the numbers behind each storage key, without copying them."""
    declared = {storage.key: storage for storage in wanted}
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(declared):
        raise ModelInvalid("the checkpoint's storages are not the ones its tensors use")
    storages: dict[str, Tensor] = {}
    for key in map(str, keys):
        storage = declared[key]
        dtype = _DTYPES[storage.kind]
        count = int.from_bytes(data[position : position + _COUNT_BYTES], "little")
        position += _COUNT_BYTES
        if count != storage.length or position + count * dtype.itemsize > len(data):
            raise ModelInvalid(f"the checkpoint is damaged or cut off at storage {key}")
        storages[key] = np.frombuffer(data, dtype, count, position)
        position += count * dtype.itemsize
    if position != len(data):
        raise ModelInvalid(f"the checkpoint has {len(data) - position:,} bytes too many")
    return storages


def _tensor(name: str, view: _View, numbers: Tensor) -> Tensor:
    size = prod(view.shape, start=1)
    last = view.offset + sum(
        (length - 1) * stride for length, stride in zip(view.shape, view.strides, strict=True)
    )
    if size > numbers.size or (size and last >= numbers.size):
        raise ModelInvalid(f"tensor {name} reaches outside its storage")
    return np.lib.stride_tricks.as_strided(
        numbers[view.offset :],
        view.shape,
        [stride * numbers.itemsize for stride in view.strides],
        writeable=False,
    )
