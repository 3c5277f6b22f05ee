"""Lay the pages of a dump out so that a restore maps most of them instead of copying them.

CRIU restores private memory by copying it, page for page. Laid out, long stretches of it are a
file, `memory`, that is mapped privately in their place: nothing is copied until a clone writes, and
all clones read the same pages of the page cache.
"""

import contextlib
import logging
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rookery.errors import SnapshotFailed
from rookery.snapshots import images
from rookery.snapshots.allocators import counts_on_zeros
from rookery.snapshots.criu import MEMORY_PATH
from rookery.snapshots.image_file import create
from rookery.snapshots.images import PAGE, Dump, Run
from rookery.snapshots.manifest import MEMORY
from rookery.snapshots.placement import HUGE, Placement, Segment, place

_log: Final = logging.getLogger(__name__)
_FRESH: Final = ".fresh"  # ends the name of every file that is not complete


class Layout(NamedTuple):
    """What became of the pages: *mapped* and *copied* are bytes, *areas* a count."""

    mapped: int
    copied: int
    areas: int
    shortest_run: int


def lay_out(directory: str, *, shortest_run: int = 1, widest_gap: int = 16) -> Layout:
    """Rewrite the fresh dump in *directory* in place, once.

    Stretches of at least *shortest_run* pages are mapped; *shortest_run* grows until the process
    has at most half of the mappings the kernel allows. Up to *widest_gap* pages in a row that were
    never touched do not end a stretch. While it runs, the disk holds the pages twice.

    Where the process uses jemalloc, nothing is mapped, see `allocators`; a warning says so.

    Raises:
        SnapshotFailed: the dump is not understood (it is as it was then, and can be restored as
            it is), or the disk is full or fails; no temporary file is left behind.
    """
    folder = Path(directory)
    dump = images.read(folder)
    every = sum(run.pages for run in dump.runs) * PAGE
    if library := counts_on_zeros(dump.libraries):
        _log.warning(
            "%s has jemalloc in it, whose memory cannot be mapped: a restore copies all pages, "
            "which is slower",
            library,
        )
        return Layout(0, every, len(dump.areas), shortest_run)
    file = dump.unused_file
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
        with _fresh(folder, (MEMORY, dump.pages, dump.mm, dump.pagemap, images.FILES)):
            _write_pages(folder, dump, placement)
            images.rewrite(folder, changed, to=_FRESH)
            images.add_file(folder, file, MEMORY_PATH, to=_FRESH)
    except OSError as exc:
        raise SnapshotFailed(
            f"the pages of the dump in {directory} cannot be laid out: {exc.strerror or exc}"
        ) from exc
    copied = sum(run.pages for run in placement.copied) * PAGE
    return Layout(every - copied, copied, len(placement.areas), shortest_run)


def _most_areas() -> int:
    try:
        return int(Path("/proc/sys/vm/max_map_count").read_text(encoding="ascii")) // 2
    except OSError:
        return 65_530 // 2  # the kernel's default


@contextlib.contextmanager
def _fresh(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Put the files that the block writes beside *names* in their place, or remove them."""
    try:
        yield
        for name in names:
            (folder / (name + _FRESH)).rename(folder / name)
    finally:
        for name in names:
            (folder / (name + _FRESH)).unlink(missing_ok=True)


def _write_pages(folder: Path, dump: Dump, placement: Placement) -> None:
    with (folder / dump.pages).open("rb", buffering=0) as source:
        with create(folder / (dump.pages + _FRESH)) as copied:
            for run in placement.copied:
                end = run.offset + run.pages * PAGE
                for offset in range(run.offset, end, HUGE):
                    copied.write(os.pread(source.fileno(), min(HUGE, end - offset), offset))
        with create(folder / (MEMORY + _FRESH)) as memory:
            for segment in placement.segments:
                for offset, window in _windows(source.fileno(), dump.runs, segment):
                    memory.seek(offset)
                    memory.write(window)


def _windows(source: int, runs: Sequence[Run], segment: Segment) -> Iterator[tuple[int, bytearray]]:
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
        yield offset, window
        offset = ahead
