"""TensorFlow's TensorProto as a numpy array, read without TensorFlow.

(tensorflow/core/framework/tensor.proto, types.proto)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery import protobuf
from rookery.protobuf import FIXED32, FIXED64, LENGTH, VARINT, Field

_DTYPE: Final = 1
_SHAPE: Final = 2
_CONTENT: Final = 4
_SHAPE_SIZES: Final = 2
_SHAPE_UNKNOWN: Final = 3
_SIZE: Final = 1
# A shape of a few bytes may ask for any amount of memory.
_MAX_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Element:
    """How values of one type are kept: the numpy type, the field, and that field's wire type."""

    dtype: np.dtype[np.generic]
    field: int
    wire: int


_HALF: Final = 19
_STRING: Final = 7
_ELEMENTS: Final = {
    1: _Element(np.dtype("<f4"), 5, FIXED32),
    2: _Element(np.dtype("<f8"), 6, FIXED64),
    3: _Element(np.dtype("<i4"), 7, VARINT),
    4: _Element(np.dtype("u1"), 7, VARINT),
    5: _Element(np.dtype("<i2"), 7, VARINT),
    6: _Element(np.dtype("i1"), 7, VARINT),
    _STRING: _Element(np.dtype("O"), 8, LENGTH),
    9: _Element(np.dtype("<i8"), 10, VARINT),
    10: _Element(np.dtype("?"), 11, VARINT),
    17: _Element(np.dtype("<u2"), 7, VARINT),
    _HALF: _Element(np.dtype("<f2"), 13, VARINT),
    22: _Element(np.dtype("<u4"), 16, VARINT),
    23: _Element(np.dtype("<u8"), 17, VARINT),
}


def to_array(message: bytes) -> NDArray[np.generic]:
    """Read the TensorProto *message*; strings become an array of `bytes` objects.

    Fewer values than the shape has places repeat the last one, as TensorFlow has it.

    Raises:
        ValueError: it is malformed, of a type that is not read here, or too large.
    """
    fields = protobuf.parse(message)
    number = protobuf.integer(fields, _DTYPE)
    element = _ELEMENTS.get(number)
    if element is None:
        raise ValueError(f"a tensor of TensorFlow's type {number} is not read here")
    shape = _shape(protobuf.every(fields, _SHAPE))
    places = math.prod(shape)
    if places * element.dtype.itemsize > _MAX_BYTES:
        raise ValueError(f"a tensor of {places:,} values is too large to warm up with")
    content = b"".join(protobuf.every(fields, _CONTENT)[-1:])
    values = _from_content(content, element) if content else _from_values(fields, number, element)
    if content or len(values) > places:
        if len(values) != places:
            raise ValueError(f"a tensor of shape {shape} holds {len(values):,} values")
        return values.reshape(shape)
    if not len(values):
        return np.full(shape, b"" if number == _STRING else 0, element.dtype)
    return np.pad(values, (0, places - len(values)), "edge").reshape(shape)


def _shape(messages: Sequence[bytes]) -> tuple[int, ...]:
    sizes: list[int] = []
    for message in messages:
        fields = protobuf.parse(message)
        if protobuf.integer(fields, _SHAPE_UNKNOWN):
            raise ValueError("a tensor has no shape")
        dimensions = map(protobuf.parse, protobuf.every(fields, _SHAPE_SIZES))
        sizes.extend(protobuf.integer(dimension, _SIZE) for dimension in dimensions)
    # A negative size, which means "any", is a huge one here.
    if any(size > _MAX_BYTES for size in sizes):
        raise ValueError("a tensor has a size that is too large, or none")
    return tuple(sizes)


def _from_content(content: bytes, element: _Element) -> NDArray[np.generic]:
    if element.dtype.hasobject:
        raise ValueError("a tensor of strings is packed, which is not read here")
    if len(content) % element.dtype.itemsize:
        raise ValueError(f"{len(content):,} bytes are no whole number of {element.dtype} values")
    return np.frombuffer(content, element.dtype)


def _from_values(fields: Sequence[Field], number: int, element: _Element) -> NDArray[np.generic]:
    if number == _STRING:
        strings = protobuf.every(fields, element.field)
        array = np.empty(len(strings), element.dtype)
        array[:] = strings
        return array
    if element.wire == VARINT:
        whole = np.array(_integers(fields, element.field), np.uint64)
        if number == _HALF:
            return whole.astype(np.uint16).view(element.dtype)
        return whole.astype(element.dtype)
    # Packed or one by one, such values are the same bytes.
    return _from_content(b"".join(protobuf.every(fields, element.field)), element)


def _integers(fields: Sequence[Field], number: int) -> list[int]:
    values: list[int] = []
    for field in fields:
        if field.number == number:
            if isinstance(field.value, int):
                values.append(field.value)
            else:
                values.extend(protobuf.packed(field.value))
    return values
