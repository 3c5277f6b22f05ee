"""TFRecord files: each record between its length and the checksums of both.

(tensorflow.org/tutorials/load_data/tfrecord)
"""

from collections.abc import Iterator
from functools import cache
from math import isqrt
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.errors import ModelInvalid

_LENGTH_BYTES: Final = 8
_CHECKSUM_BYTES: Final = 4
_HEADER_BYTES: Final = _LENGTH_BYTES + _CHECKSUM_BYTES
_POLYNOMIAL: Final = 0x82F63B78  # Castagnoli's, bits reversed
_ALL_ONES: Final = 0xFFFFFFFF
# A checksum of data that holds checksums is weak, so a stored one is masked.
_MASK: Final = 0xA282EAD8


def read_records(path: Path) -> Iterator[bytes]:
    """Yield the records of *path*, one in memory at a time.

    Raises:
        ModelInvalid: the file cannot be read, or is damaged; the message names the byte.
    """
    try:
        size = path.stat().st_size
        at = 0
        with path.open("rb") as file:
            while header := file.read(_HEADER_BYTES):
                if len(header) < _HEADER_BYTES or not _is_intact(
                    header[:_LENGTH_BYTES], header[_LENGTH_BYTES:]
                ):
                    raise ModelInvalid(f"{path} is damaged: no record starts at byte {at:,}")
                length = int.from_bytes(header[:_LENGTH_BYTES], "little")
                end = at + _HEADER_BYTES + length + _CHECKSUM_BYTES
                if end > size:
                    raise ModelInvalid(
                        f"{path} is damaged: the record at byte {at:,} ends at byte {end:,}, "
                        f"the file at {size:,}"
                    )
                data = file.read(length)
                if not _is_intact(data, file.read(_CHECKSUM_BYTES)):
                    raise ModelInvalid(
                        f"{path} is damaged: the checksum of the record at byte {at:,} is wrong"
                    )
                yield data
                at = end
    except OSError as exc:
        raise ModelInvalid(f"{path} cannot be read: {exc.strerror or exc}") from exc


def to_record(data: bytes) -> bytes:
    """Write *data* as one record; a file is records one after the other."""
    length = len(data).to_bytes(_LENGTH_BYTES, "little")
    return length + _masked(length) + data + _masked(data)


def crc32c(data: bytes) -> int:
    """Return the checksum of *data* that TFRecord, iSCSI and ext4 use (RFC 3720, B.4)."""
    # Python is slow byte by byte. A checksum is linear, so numpy takes many equal stretches of
    # the data side by side, and what each contributes to the end is put together afterwards.
    stretches = max(1, isqrt(len(data)))
    head = len(data) % stretches
    table = _table()
    state = _ALL_ONES
    for byte in data[:head]:
        state = int(table[(state ^ byte) & 0xFF]) ^ (state >> 8)
    side_by_side = np.frombuffer(data, np.uint8)[head:].reshape(stretches, -1)
    states = np.zeros(stretches, np.uint32)
    states[0] = state
    # What becomes of each of a state's four bytes, whatever its value, while one stretch passes.
    carried = np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], np.uint32)
    for column in np.ascontiguousarray(side_by_side.T):
        states = table[(states ^ column) & 0xFF] ^ (states >> 8)
        carried = table[carried & 0xFF] ^ (carried >> 8)
    first, second, third, fourth = carried.tolist()
    state = 0
    for own in states.tolist():
        state = own ^ (
            first[state & 0xFF]
            ^ second[state >> 8 & 0xFF]
            ^ third[state >> 16 & 0xFF]
            ^ fourth[state >> 24]
        )
    return state ^ _ALL_ONES


def _is_intact(data: bytes, checksum: bytes) -> bool:
    return _masked(data) == checksum


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    rotated = (crc >> 15 | crc << 17) & _ALL_ONES
    return ((rotated + _MASK) & _ALL_ONES).to_bytes(_CHECKSUM_BYTES, "little")


@cache
def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ _POLYNOMIAL, table >> 1).astype(np.uint32)
    return table
