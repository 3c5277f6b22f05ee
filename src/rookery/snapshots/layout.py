"""Lay the pages of a dump out so that a restore maps most of them instead of copying them.

CRIU restores private memory by copying it, page for page. Laid out, long stretches of it are a
file, `memory`, that is mapped privately in their place: nothing is copied until a clone writes, and
all clones read the same pages of the page cache.
"""

import contextlib
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rookery.errors import SnapshotFailed
from rookery.snapshots import images
from rookery.snapshots.images import PAGE, Dump, Run
from rookery.snapshots.placement import HUGE, Placement, Segment, place

MEMORY: Final = "memory"
"""The name of the file of mapped pages in a snapshot's directory."""

MAPPED_AS: Final = "/rookery/memory"
"""The path by which the images name it; `--inherit-fd fd[N]:rookery/memory` says where it is."""

_FRESH: Final = ".fresh"  # ends the name of every file that is not complete


class Layout(NamedTuple):
    """What became of the pages: *mapped* and *copied* are bytes, *areas* and *runs* counts."""

    mapped: int
    copied: int
    areas: int
    shortest_run: int


def lay_out(directory: str, *, shortest_run: int = 16, widest_gap: int = 16) -> Layout:
    """Rewrite the fresh dump in *directory* in place, once.

    Stretches of at least *shortest_run* pages are mapped; *shortest_run* grows until the process
    has at most half of the mappings the kernel allows. *widest_gap* pages that were never touched
    do not end a stretch. While it runs, the disk holds the pages twice.

    Raises:
        SnapshotFailed: the dump is not understood (it is as it was then, and can be restored as
            it is), or the disk is full or fails; no temporary file is left behind.
    """
    dump = images.read(directory)
    file = images.unused_file(directory)
    most = _most_areas()
    while True:
        placement = place(
            dump.areas, dump.runs, file=file, shortest_run=shortest_run, widest_gap=widest_gap
        )
        if len(placement.areas) <= most or not placement.segments:
            break
        shortest_run *= 2
    changed = dump._replace(areas=placement.areas, runs=placement.copied)
    try:
        with _fresh(directory, (MEMORY, dump.pages, dump.mm, dump.pagemap, images.FILES)):
            _write_pages(directory, dump, placement)
            images.rewrite(directory, changed, to=_FRESH)
            images.add_file(directory, file, MAPPED_AS, to=_FRESH)
    except OSError as exc:
        raise SnapshotFailed(
            f"the pages of the dump in {directory} cannot be laid out: {exc.strerror}"
        ) from exc
    copied = sum(run.pages for run in placement.copied)
    every = sum(run.pages for run in dump.runs)
    return Layout((every - copied) * PAGE, copied * PAGE, len(placement.areas), shortest_run)


def _most_areas() -> int:
    try:
        with open("/proc/sys/vm/max_map_count", encoding="ascii") as file:
            return int(file.read()) // 2
    except OSError:
        return 65530 // 2  # the kernel's default


@contextlib.contextmanager
def _fresh(directory: str, names: Sequence[str]) -> Iterator[None]:
    """Rename the files that were written beside *names* to them; remove them on any failure."""
    paths = [os.path.join(directory, name) for name in names]
    try:
        yield
        for path in paths:
            os.rename(path + _FRESH, path)
    finally:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + _FRESH)


def _write_pages(directory: str, dump: Dump, placement: Placement) -> None:
    memory = os.path.join(directory, MEMORY)
    pages = os.path.join(directory, dump.pages)
    with open(pages, "rb", buffering=0) as source:
        with open(pages + _FRESH, "xb", opener=images.private) as copied:
            for run in placement.copied:
                for offset in range(run.offset, run.offset + run.pages * PAGE, HUGE):
                    size = min(HUGE, run.offset + run.pages * PAGE - offset)
                    copied.write(os.pread(source.fileno(), size, offset))
        with open(memory + _FRESH, "xb", opener=images.private) as mapped:
            for segment in placement.segments:
                for offset, window in _windows(source.fileno(), dump.runs, segment):
                    mapped.seek(offset)
                    mapped.write(window)


def _windows(source: int, runs: Sequence[Run], segment: Segment) -> Iterator[tuple[int, bytes]]:
    # Written a whole huge page at a time, a file has huge pages in the page cache as well.
    starts = [run.start for run in runs]
    shift = segment.start - segment.offset
    offset, stop = segment.offset, segment.offset + segment.end - segment.start
    at = max(bisect_right(starts, segment.start) - 1, 0)
    while offset < stop:
        ahead = min(offset - offset % HUGE + HUGE, stop)
        window = bytearray(ahead - offset)
        while at < len(runs) and runs[at].start < ahead + shift:
            start, end = max(runs[at].start, offset + shift), min(runs[at].end, ahead + shift)
            if start < end:
                place = start - shift - offset
                part = memoryview(window)[place : place + end - start]
                os.preadv(source, [part], runs[at].offset + start - runs[at].start)
            if runs[at].end > ahead + shift:
                break
            at += 1
        yield offset, bytes(window)
        offset = ahead
