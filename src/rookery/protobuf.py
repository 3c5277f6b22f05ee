"""The wire format of protocol buffers, for messages whose fields few parts of Rookery know.

CRIU keeps its images in it, TensorFlow its recorded requests. Fields that nobody here knows keep
their place, so what is read and written again loses nothing.
(protobuf.dev/programming-guides/encoding)
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5

_FIXED: Final = {FIXED64: 8, FIXED32: 4}
_MOST_BITS: Final = 64
_MOST_NUMBER: Final = (1 << 29) - 1  # the largest field number there may be


class Field(NamedTuple):
    """One field: an `int` of 0 to 2**64-1 for a varint, the bytes for every other wire type."""

    number: int
    wire: int
    value: int | bytes


def varint(number: int, value: int) -> Field:
    """Make a field of a whole number; a negative one as `int32` and `int64` have it."""
    return Field(number, VARINT, value & ((1 << _MOST_BITS) - 1))


def length(number: int, value: bytes) -> Field:
    """Make a field of bytes, text or a message."""
    return Field(number, LENGTH, value)


def parse(data: bytes) -> list[Field]:
    """Read the fields of the message *data*, in order. Raises ValueError where it is malformed."""
    fields = []
    at = 0
    while at < len(data):
        key, start = _read_varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number <= _MOST_NUMBER:
            raise ValueError(f"byte {at} of the message starts a field with the number {number}")
        value: int | bytes
        if wire == VARINT:
            value, at = _read_varint(data, start)
        else:
            if wire == LENGTH:
                size, start = _read_varint(data, start)
            elif wire in _FIXED:
                size = _FIXED[wire]
            else:
                raise ValueError(f"field {number} has the wire type {wire}, which is not known")
            at = start + size
            if at > len(data):
                raise ValueError(
                    f"field {number} has {size:,} bytes, but the message ends after "
                    f"{len(data) - start:,} of them"
                )
            value = data[start:at]
        fields.append(Field(number, wire, value))
    return fields


def encode(fields: Iterable[Field]) -> bytes:
    """Write *fields* as one message, in their order."""
    data = bytearray()
    for number, wire, value in fields:
        _write_varint(data, number << 3 | wire)
        if isinstance(value, int):
            _write_varint(data, value)
            continue
        if wire == LENGTH:
            _write_varint(data, len(value))
        data += value
    return bytes(data)


def integer(fields: Iterable[Field], number: int, default: int = 0) -> int:
    """Return the whole number in the field *number*: the last one, or *default* without one.

    Raises ValueError where the field is not a varint.
    """
    found = default
    for field in fields:
        if field.number == number:
            if not isinstance(field.value, int):
                raise ValueError(f"field {number} has the wire type {field.wire}, not a varint")
            found = field.value
    return found


def every(fields: Iterable[Field], number: int) -> list[bytes]:
    """Return the bytes of each field *number*: texts, or messages to parse in their turn.

    Raises ValueError where such a field is a varint.
    """
    found = []
    for field in fields:
        if field.number == number:
            if isinstance(field.value, int):
                raise ValueError(f"field {number} is a varint, but has to hold bytes")
            found.append(field.value)
    return found


def packed(data: bytes) -> list[int]:
    """Read the varints of a packed repeated field. Raises ValueError where one is malformed."""
    values = []
    at = 0
    while at < len(data):
        value, at = _read_varint(data, at)
        values.append(value)
    return values


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for place in range(at, len(data)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a varint has no high bit
            if value >> _MOST_BITS:
                break
            return value, place + 1
        shift += 7
        if shift >= _MOST_BITS + 6:
            break
    else:
        raise ValueError(f"the message ends inside the number at byte {at}")
    raise ValueError(f"the number at byte {at} of the message is longer than 64 bits")


def _write_varint(data: bytearray, value: int) -> None:
    while value > 0x7F:  # noqa: PLR2004 - seven bits go into a byte
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
