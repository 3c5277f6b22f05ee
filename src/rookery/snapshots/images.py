"""The images of a CRIU dump that say what memory its one process has, read and written.

Only what lets its pages be laid out anew is understood; all else is kept as it came. What is not
known well enough to be changed is refused, so that the dump stays as CRIU wrote it.
(criu.org/Images; the messages are in images/*.proto of CRIU)
"""

import mmap
import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rookery import protobuf
from rookery.errors import SnapshotFailed
from rookery.protobuf import Field
from rookery.snapshots import image_file

PAGE: Final = mmap.PAGESIZE

FILES: Final = "files.img"
"""The image of all files, opened or mapped."""

# mm_entry and vma_entry
_AREAS: Final = 14
_START, _END, _OFFSET, _FILE, _PROTECTION, _FLAGS, _STATUS, _, _ADVICE, _OPEN_FLAGS = range(1, 11)
_REGULAR: Final = 1 << 0
_HEAP: Final = 1 << 5
_FILE_PRIVATE: Final = 1 << 6
_FILE_SHARED: Final = 1 << 7
_ANON_PRIVATE: Final = 1 << 9
_GUARD: Final = 1 << 16
_ANONYMOUS: Final = (_REGULAR | _ANON_PRIVATE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
_OF_A_FILE: Final = (_REGULAR | _FILE_PRIVATE, mmap.MAP_PRIVATE)
_NO_RESERVE: Final = 0x4000  # MAP_NORESERVE, which is not in mmap
# MADV_HUGEPAGE, MADV_NOHUGEPAGE and MADV_DONTDUMP mean the same to a file's pages; others don't.
_HARMLESS_ADVICE: Final = 1 << 14 | 1 << 15 | 1 << 16

# pagemap_head and pagemap_entry
_PAGES_ID: Final = 1
_ADDRESS, _COUNT, _IN_PARENT, _PAGE_FLAGS = range(1, 5)
_LAZY: Final = 1 << 1
_PRESENT: Final = 1 << 2

# file_entry, reg_file_entry and fown_entry
_REGULAR_FILE: Final = 1
_KIND, _ID, _ENTRY = range(1, 4)
_NAME: Final = 6
_NO_OWNER: Final = protobuf.encode(protobuf.varint(number, 0) for number in range(1, 6))


class Area(NamedTuple):
    """One area of the address space (a "VMA"); *start* and *end* are addresses in bytes."""

    start: int
    end: int
    entry: tuple[Field, ...]

    @property
    def mappable(self) -> bool:
        """Whether its pages may come from a file, and neither process nor kernel mind.

        So it has to be private memory, anonymous or of a file, and nothing more. Code is left
        alone: a file on a file system without exec cannot be mapped with it.
        """
        protection = protobuf.integer(self.entry, _PROTECTION)
        kind = (
            protobuf.integer(self.entry, _STATUS) & ~_HEAP,
            protobuf.integer(self.entry, _FLAGS) & ~_NO_RESERVE,
        )
        return (
            kind in (_ANONYMOUS, _OF_A_FILE)
            and bool(protection & mmap.PROT_READ)
            and not protection & mmap.PROT_EXEC
            and not protobuf.integer(self.entry, _ADVICE) & ~_HARMLESS_ADVICE
        )

    @property
    def of_a_file(self) -> bool:
        """Whether pages that were never written are those of a file, not zeros."""
        return bool(protobuf.integer(self.entry, _STATUS) & _FILE_PRIVATE)

    @property
    def guard(self) -> bool:
        """Whether it only says that a part of another area is guarded against access."""
        return bool(protobuf.integer(self.entry, _STATUS) & _GUARD)

    def cut(self, start: int, end: int) -> "Area":
        """Return the part from *start* to *end*."""
        offset = protobuf.integer(self.entry, _OFFSET)
        if self.of_a_file:
            offset += start - self.start
        return Area(start, end, _with(self.entry, {_START: start, _END: end, _OFFSET: offset}))

    def mapped(self, start: int, end: int, *, file: int, offset: int) -> "Area":
        """Return the part from *start* to *end*, mapped to the bytes of *file* at *offset*."""
        entry = _with(
            self.entry,
            {
                _START: start,
                _END: end,
                _OFFSET: offset,
                _FILE: file,
                _FLAGS: protobuf.integer(self.entry, _FLAGS) & ~mmap.MAP_ANONYMOUS,
                _STATUS: _REGULAR | _FILE_PRIVATE,
                _OPEN_FLAGS: os.O_RDONLY,
            },
        )
        return Area(start, end, entry)


class Run(NamedTuple):
    """Pages in a row: *start* is their address, *offset* their place in the image of pages."""

    start: int
    pages: int
    offset: int
    entry: tuple[Field, ...]

    @property
    def end(self) -> int:
        """The address behind the last page."""
        return self.start + self.pages * PAGE

    def cut(self, start: int, end: int) -> "Run":
        """Return the part from *start* to *end*."""
        count = (end - start) // PAGE
        entry = _with(self.entry, {_ADDRESS: start, _COUNT: count})
        return Run(start, count, self.offset + start - self.start, entry)


class File(NamedTuple):
    """A file that is open or mapped; *path* is empty for a pipe and the like."""

    number: int
    path: str


class Dump(NamedTuple):
    """The memory of the one process in a dump; *mm*, *pagemap* and *pages* name its images."""

    mm: str
    pagemap: str
    pages: str
    areas: tuple[Area, ...]
    runs: tuple[Run, ...]
    files: tuple[File, ...]

    @property
    def unused_file(self) -> int:
        """A number that no file has."""
        return max((file.number for file in self.files), default=0) + 1

    @property
    def libraries(self) -> tuple[str, ...]:
        """The paths of the files that code is mapped from."""
        code = (
            area
            for area in self.areas
            if protobuf.integer(area.entry, _PROTECTION) & mmap.PROT_EXEC
        )
        return self._sources(code)

    @property
    def mapped(self) -> tuple[str, ...]:
        """The paths of all other files that memory is mapped from, privately or not."""
        return tuple(sorted({*self._sources(self.areas)} - {*self.libraries}))

    def _sources(self, areas: Iterable[Area]) -> tuple[str, ...]:
        numbers = {
            protobuf.integer(area.entry, _FILE)
            for area in areas
            if protobuf.integer(area.entry, _STATUS) & (_FILE_PRIVATE | _FILE_SHARED)
        }
        return tuple(
            sorted(file.path for file in self.files if file.number in numbers and file.path)
        )


def read(directory: Path) -> Dump:
    """Read the images of the dump in *directory*.

    Raises:
        SnapshotFailed: an image cannot be read, or has what is not understood here: several
            processes, pages that are compressed or in the dump of a parent, unknown fields.
    """
    try:
        return _read(directory)
    except (OSError, ValueError, struct.error) as exc:
        raise SnapshotFailed(f"the dump in {directory} is not understood: {exc}") from exc


def _read(directory: Path) -> Dump:
    if (directory / "parent").is_symlink():
        raise ValueError("some of its pages are in the dump of a parent")
    processes = len(image_file.read(directory, "pstree.img"))
    found = sorted(path.name for path in directory.glob("mm-*.img"))
    if processes != 1 or len(found) != 1:
        raise ValueError(f"it holds {processes} processes and the memory of {len(found)}")
    mm = found[0]
    pagemap = mm.replace("mm-", "pagemap-", 1)
    head, *entries = map(protobuf.parse, image_file.read(directory, pagemap))
    pages = f"pages-{protobuf.integer(head, _PAGES_ID)}.img"
    runs = tuple(_runs(entries))
    expected = sum(run.pages for run in runs) * PAGE
    size = (directory / pages).stat().st_size
    if size != expected:
        raise ValueError(f"{pages} has {size:,} bytes, but {pagemap} names {expected:,}")
    files = tuple(map(_file, image_file.read(directory, FILES)))
    return Dump(mm, pagemap, pages, tuple(_areas(directory, mm)), runs, files)


def rewrite(directory: Path, dump: Dump, *, to: str) -> None:
    """Write *dump*'s areas and runs to its images in *directory*, names ending in *to* added.

    Raises OSError where they cannot be written.
    """
    (entry,) = image_file.read(directory, dump.mm)
    fields = protobuf.parse(entry)
    first = next(at for at, field in enumerate(fields) if field.number == _AREAS)
    others = [field for field in fields if field.number != _AREAS]
    others[first:first] = [
        protobuf.length(_AREAS, protobuf.encode(area.entry)) for area in dump.areas
    ]
    image_file.write(directory, dump.mm, [protobuf.encode(others)], to=to)
    head = image_file.read(directory, dump.pagemap)[0]
    runs = (protobuf.encode(run.entry) for run in dump.runs)
    image_file.write(directory, dump.pagemap, [head, *runs], to=to)


def add_file(directory: Path, number: int, name: str, *, to: str) -> None:
    """Write the image of files with a further one in it, with the id *number*, opened to be read.

    Raises OSError where it cannot be written.
    """
    file = protobuf.encode(
        [
            protobuf.varint(1, number),
            protobuf.varint(2, os.O_RDONLY),
            protobuf.varint(3, 0),
            protobuf.length(5, _NO_OWNER),
            protobuf.length(_NAME, name.encode()),
        ]
    )
    entry = protobuf.encode(
        [
            protobuf.varint(_KIND, _REGULAR_FILE),
            protobuf.varint(_ID, number),
            protobuf.length(_ENTRY, file),
        ]
    )
    image_file.write(directory, FILES, [*image_file.read(directory, FILES), entry], to=to)


def _file(message: bytes) -> File:
    fields = protobuf.parse(message)
    regular = [protobuf.parse(entry) for entry in protobuf.every(fields, _ENTRY)]
    names = [name for entry in regular for name in protobuf.every(entry, _NAME)]
    return File(protobuf.integer(fields, _ID), os.fsdecode(names[0]) if names else "")


def _areas(directory: Path, name: str) -> Iterable[Area]:
    (mm,) = image_file.read(directory, name)
    last = 0
    for message in protobuf.every(protobuf.parse(mm), _AREAS):
        entry = tuple(protobuf.parse(message))
        area = Area(protobuf.integer(entry, _START), protobuf.integer(entry, _END), entry)
        if area.start >= area.end or (area.start < last and not area.guard):
            raise ValueError(f"{name} has the area {area.start:x}-{area.end:x} in a wrong place")
        last = max(last, area.end)
        yield area


def _runs(entries: Iterable[Sequence[Field]]) -> Iterable[Run]:
    offset = last = 0
    for fields in entries:
        entry = tuple(fields)
        start, count = protobuf.integer(entry, _ADDRESS), protobuf.integer(entry, _COUNT)
        unknown = {field.number for field in entry} - {_ADDRESS, _COUNT, _IN_PARENT, _PAGE_FLAGS}
        flags = protobuf.integer(entry, _PAGE_FLAGS, _PRESENT)
        if unknown or flags & ~_LAZY != _PRESENT or protobuf.integer(entry, _IN_PARENT):
            raise ValueError(f"the pages at {start:x} are kept in a way that is not known")
        if start < last or start % PAGE or not count:
            raise ValueError(f"the {count} pages at {start:x} are in a wrong place")
        yield Run(start, count, offset, entry)
        offset += count * PAGE
        last = start + count * PAGE


def _with(entry: Iterable[Field], values: dict[int, int]) -> tuple[Field, ...]:
    fields = [
        protobuf.varint(field.number, values[field.number]) if field.number in values else field
        for field in entry
    ]
    present = {field.number for field in fields}
    fields += [protobuf.varint(new, values[new]) for new in values if new not in present]
    return tuple(fields)
