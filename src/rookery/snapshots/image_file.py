"""One image file of CRIU: a magic number, and messages with their lengths before them."""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

from rookery.snapshots import private

_COMMON_MAGIC: Final = 0x54564319
_MAGICS: Final = {
    "files": 0x56303138,
    "mm": 0x57492820,
    "pagemap": 0x56084025,
    "pstree": 0x50273030,
}
_HEAD: Final = struct.Struct("<II")
_LENGTH: Final = struct.Struct("<I")


def read(directory: Path, name: str) -> list[bytes]:
    """Return the messages of the image *name*, which also says of what kind it is.

    Raises:
        ValueError, struct.error: it is no image of its kind, or ends too early.
        OSError: it cannot be read.
    """
    data = (directory / name).read_bytes()
    magic = _MAGICS[name.partition(".")[0].partition("-")[0]]
    if _HEAD.unpack_from(data) != (_COMMON_MAGIC, magic):
        raise ValueError(f"{name} starts with {data[: _HEAD.size].hex()}")
    messages = []
    at = _HEAD.size
    while at < len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + size > len(data):
            raise ValueError(f"{name} ends in the middle of a message")
        messages.append(data[at : at + size])
        at += size
    return messages


def write(directory: Path, name: str, messages: Iterable[bytes], *, to: str) -> None:
    """Write *messages* to a new image of the kind of *name*, beside it, its name ending in *to*.

    Raises OSError where it cannot be written.
    """
    magic = _MAGICS[name.partition(".")[0].partition("-")[0]]
    with create(directory / (name + to)) as file:
        file.write(_HEAD.pack(_COMMON_MAGIC, magic))
        file.writelines(_LENGTH.pack(len(message)) + message for message in messages)


def create(path: Path) -> BinaryIO:
    """Open the new file *path*, which only its owner may read, to be written."""
    return open(path, "xb", opener=private.opener)
