"""Dumps as CRIU writes them, made of thin air, and what a restore of one would put into memory."""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from rookery import protobuf
from rookery.protobuf import Field, length, varint
from rookery.snapshots import images
from rookery.snapshots.criu import MEMORY_PATH
from rookery.snapshots.images import PAGE
from rookery.snapshots.manifest import MEMORY

MAGICS = {"mm": 0x57492820, "pagemap": 0x56084025, "files": 0x56303138, "pstree": 0x50273030}
ANONYMOUS = 0x22  # MAP_PRIVATE and MAP_ANONYMOUS
REGULAR_ANONYMOUS = 0x201
READ_WRITE = 3
PRESENT = 4


class Kind(NamedTuple):
    """What an area of memory is: CRIU's fields of the same names."""

    prot: int = READ_WRITE
    flags: int = ANONYMOUS
    status: int = REGULAR_ANONYMOUS
    madv: int = 0
    file: int = 0
    offset: int = 0


class Memory(NamedTuple):
    """One area, from *start* to *end*, and its pages that were ever touched, by address."""

    start: int
    end: int
    kind: Kind
    pages: Mapping[int, bytes]


def image(name: str, messages: Iterable[Iterable[Field]]) -> bytes:
    """Return an image file's content."""
    encoded = [protobuf.encode(message) for message in messages]
    return struct.pack("<II", 0x54564319, MAGICS[name]) + b"".join(
        struct.pack("<I", len(message)) + message for message in encoded
    )


def area_entry(start: int, end: int, kind: Kind) -> list[Field]:
    """Return the fields of a vma_entry."""
    values = (start, end, kind.offset, kind.file, kind.prot, kind.flags, kind.status, 1, kind.madv)
    return [varint(number, value) for number, value in enumerate(values, 1) if number != 9 or value]


def page_entries(pages: Iterable[int], longest: int) -> list[list[Field]]:
    """Return pagemap entries of the pages at these addresses, of at most *longest* pages each."""
    runs: list[tuple[int, int]] = []
    for address in sorted(pages):
        start, count = runs[-1] if runs else (0, 0)
        if runs and start + count * PAGE == address and count < longest:
            runs[-1] = (start, count + 1)
        else:
            runs.append((address, 1))
    return [[varint(1, start), varint(2, count), varint(4, PRESENT)] for start, count in runs]


def write_dump(
    directory: Path,
    memory: Iterable[Memory],
    *,
    longest_run: int = 512,
    library: str = "/bin/true",
) -> None:
    """Write the dump of one process with *memory*, in order; its file of id 7 is *library*."""
    areas = list(memory)
    pages = {address: page for area in areas for address, page in area.pages.items()}
    mm = [varint(1, 4096), varint(12, 1)]
    mm += [
        length(14, protobuf.encode(area_entry(area.start, area.end, area.kind))) for area in areas
    ]
    mm.append(varint(15, 1))
    file = [varint(1, 7), varint(2, 0), varint(3, 0), length(6, library.encode())]
    contents = {
        "mm-1.img": image("mm", [mm]),
        "pagemap-1.img": image("pagemap", [[varint(1, 1)], *page_entries(pages, longest_run)]),
        "pages-1.img": b"".join(page for _, page in sorted(pages.items())),
        "files.img": image(
            "files", [[varint(1, 1), varint(2, 7), length(3, protobuf.encode(file))]]
        ),
        "pstree.img": image("pstree", [[varint(1, 1)]]),
    }
    for name, content in contents.items():
        (directory / name).write_bytes(content)


def restored(directory: Path) -> dict[int, bytes]:
    """Return every page that is not all zeros, by address, as a restore would have it."""
    dump = images.read(directory)
    ours = file_ids(directory).get(MEMORY_PATH)
    pages: dict[int, bytes] = {}
    for area in dump.areas:
        if protobuf.integer(area.entry, 4) == ours and ours:
            with (directory / MEMORY).open("rb") as file:
                file.seek(protobuf.integer(area.entry, 3))
                content = file.read(area.end - area.start)
            assert len(content) == area.end - area.start
            pages |= {
                area.start + at: content[at : at + PAGE] for at in range(0, len(content), PAGE)
            }
    copied = (directory / dump.pages).read_bytes()
    for run in dump.runs:
        for number in range(run.pages):
            at = run.offset + number * PAGE
            pages[run.start + number * PAGE] = copied[at : at + PAGE]
    return {address: page for address, page in pages.items() if page.strip(b"\0")}


def file_ids(directory: Path) -> dict[str, int]:
    """Return the ids of the dump's regular files, by path."""
    data = (directory / "files.img").read_bytes()
    found = {}
    at = 8
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        fields = protobuf.parse(data[at + 4 : at + 4 + size])
        (file,) = protobuf.every(fields, 3)
        (name,) = protobuf.every(protobuf.parse(file), 6)
        found[name.decode()] = protobuf.integer(fields, 2)
        at += 4 + size
    return found
