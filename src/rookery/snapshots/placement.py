"""Which pages of a dump are mapped from the file of memory, and where in it they are."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rookery.errors import SnapshotFailed
from rookery.snapshots.images import PAGE, Area, Run

HUGE: Final = 512 * PAGE
"""The bytes of a huge page, which one fault maps where a file's bytes and addresses both fit."""


class Segment(NamedTuple):
    """Addresses that become a mapping of the file of memory, from *offset* on."""

    start: int
    end: int
    offset: int


class Placement(NamedTuple):
    """The areas and runs that a dump then has, and what of the file of memory is mapped."""

    areas: tuple[Area, ...]
    copied: tuple[Run, ...]
    segments: tuple[Segment, ...]  # by their offsets


def place(
    areas: Sequence[Area], runs: Sequence[Run], *, file: int, shortest_run: int, widest_gap: int
) -> Placement:
    """Map every stretch of memory with at least *shortest_run* pages to the file of id *file*.

    Up to *widest_gap* pages in a row that were never touched do not end a stretch: they are zeros
    in the file. All other pages stay what CRIU copies. Raises SnapshotFailed where pages lie
    outside of every area.
    """
    starts = [run.start for run in runs]
    guards = [area for area in areas if area.guard]
    stretches: list[tuple[int, int]] = []
    owned = 0
    for area in areas:
        if area.guard:
            continue
        pages = list(_within(area, runs, starts))
        owned += sum(run.pages for run in pages)
        guarded = any(guard.start < area.end and area.start < guard.end for guard in guards)
        if area.mappable and not guarded:
            gap = 0 if area.of_a_file else widest_gap
            stretches += _stretches(pages, shortest_run, gap * PAGE)
    if owned != sum(run.pages for run in runs):
        raise SnapshotFailed("the dump has pages outside of the areas of its process")
    segments = sorted(_offsets(stretches))
    return Placement(
        tuple(_split(areas, segments, file)),
        tuple(_left(runs, segments)),
        tuple(sorted(segments, key=lambda segment: segment.offset)),
    )


def _within(area: Area, runs: Sequence[Run], starts: Sequence[int]) -> Iterator[Run]:
    at = max(bisect_right(starts, area.start) - 1, 0)
    while at < len(runs) and runs[at].start < area.end:
        start, end = max(runs[at].start, area.start), min(runs[at].end, area.end)
        if start < end:
            yield runs[at].cut(start, end)
        at += 1


def _stretches(runs: Sequence[Run], shortest: int, gap: int) -> Iterator[tuple[int, int]]:
    start = end = pages = 0
    for run in runs:
        if pages and run.start - end > gap:
            if pages >= shortest:
                yield start, end
            pages = 0
        if not pages:
            start = run.start
        pages += run.pages
        end = run.end
    if pages and pages >= shortest:
        yield start, end


def _offsets(stretches: Sequence[tuple[int, int]]) -> Iterator[Segment]:
    # Long ones first, each as far from a multiple of a huge page as its address is.
    at = 0
    for start, end in stretches:
        if end - start >= HUGE:
            at += (start - at) % HUGE
            yield Segment(start, end, at)
            at += end - start
    for start, end in stretches:
        if end - start < HUGE:
            yield Segment(start, end, at)
            at += end - start


def _split(areas: Sequence[Area], segments: Sequence[Segment], file: int) -> Iterator[Area]:
    starts = [segment.start for segment in segments]
    for area in areas:
        start = area.start
        first = bisect_right(starts, area.start - 1)
        inside = [] if area.guard else segments[first : bisect_right(starts, area.end - 1)]
        for segment in inside:
            if segment.start > start:
                yield area.cut(start, segment.start)
            yield area.mapped(segment.start, segment.end, file=file, offset=segment.offset)
            start = segment.end
        if not inside:
            yield area
        elif start < area.end:
            yield area.cut(start, area.end)


def _left(runs: Sequence[Run], segments: Sequence[Segment]) -> Iterator[Run]:
    at = 0
    for run in runs:
        start = run.start
        while at < len(segments) and segments[at].end <= start:
            at += 1
        here = at
        while here < len(segments) and segments[here].start < run.end:
            if segments[here].start > start:
                yield run.cut(start, segments[here].start)
            start = segments[here].end
            here += 1
        if start < run.end:
            yield run.cut(start, run.end)
