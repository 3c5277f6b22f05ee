import pytest

from dumps import Kind, area_entry, page_entries
from rookery import protobuf
from rookery.errors import SnapshotFailed
from rookery.snapshots.images import PAGE, Area, Run
from rookery.snapshots.placement import HUGE, place


def area(start, end, **kind):
    return Area(start * PAGE, end * PAGE, tuple(area_entry(start * PAGE, end * PAGE, Kind(**kind))))


def runs(*pages):
    found, offset = [], 0
    for entry in page_entries((page * PAGE for page in pages), longest=512):
        start, count = protobuf.integer(entry, 1), protobuf.integer(entry, 2)
        found.append(Run(start, count, offset, tuple(entry)))
        offset += count * PAGE
    return found


def placed(areas, present, *, shortest_run=2, widest_gap=0):
    placement = place(
        areas, runs(*present), file=8, shortest_run=shortest_run, widest_gap=widest_gap
    )
    segments = [
        (segment.start // PAGE, segment.end // PAGE) for segment in sorted(placement.segments)
    ]
    copied = [
        page for run in placement.copied for page in range(run.start // PAGE, run.end // PAGE)
    ]
    return segments, copied


@pytest.mark.parametrize(
    ("present", "options", "segments", "copied"),
    [
        ([], {}, [], []),
        ([5], {}, [], [5]),
        ([5, 6], {}, [(5, 7)], []),
        ([5, 6, 9], {}, [(5, 7)], [9]),
        ([5, 6, 9, 10], {}, [(5, 7), (9, 11)], []),
        ([5, 6, 9, 10], {"shortest_run": 3}, [], [5, 6, 9, 10]),
        ([5, 7], {"widest_gap": 1}, [(5, 8)], []),
        ([5, 8], {"widest_gap": 1}, [], [5, 8]),
        # What counts are pages, not the zeros between them.
        ([5, 7], {"widest_gap": 1, "shortest_run": 3}, [], [5, 7]),
        # The second area is code, the third begins where the first does not go on.
        ([18, 19, 20, 21], {}, [(18, 20)], [20, 21]),
        ([28, 29, 30, 31], {}, [(30, 32)], [28, 29]),
        ([1, 2], {"shortest_run": 1}, [(1, 3)], []),
    ],
)
def test_long_runs_are_mapped_and_short_ones_copied(present, options, segments, copied):
    areas = [area(1, 20), area(20, 30, prot=7), area(30, 40)]
    assert placed(areas, present, **options) == (segments, copied)


def test_an_area_is_split_at_what_is_mapped():
    placement = place([area(1, 20)], runs(5, 6, 19), file=8, shortest_run=1, widest_gap=0)
    assert [(part.start // PAGE, part.end // PAGE) for part in placement.areas] == [
        (1, 5), (5, 7), (7, 19), (19, 20),
    ]  # fmt: skip
    assert [protobuf.integer(part.entry, 4) for part in placement.areas] == [0, 8, 0, 8]


def test_guarded_memory_stays_anonymous():
    areas = [area(1, 20), area(30, 40), area(4, 5, status=1 << 16)]
    assert placed(areas, [5, 6, 31, 32]) == ([(31, 33)], [5, 6])


def test_long_stretches_may_be_mapped_as_huge_pages():
    areas = [area(3, 2000), area(2100, 2110), area(2200, 4000)]
    present = [*range(10, 1500), *range(2100, 2110), *range(2300, 3900)]
    placement = place(areas, runs(*present), file=8, shortest_run=1, widest_gap=0)
    segments = {segment.start // PAGE: segment for segment in placement.segments}
    assert segments.keys() == {10, 2100, 2300}
    for start in (10, 2300):
        assert (segments[start].start - segments[start].offset) % HUGE == 0


def test_nothing_overlaps_in_the_file():
    areas = [area(3, 2000), area(2100, 2110), area(2200, 4000)]
    present = [*range(10, 1500), *range(2100, 2110), *range(2300, 3900)]
    placement = place(areas, runs(*present), file=8, shortest_run=1, widest_gap=0)
    end = 0
    for segment in placement.segments:
        assert segment.offset >= end
        end = segment.offset + segment.end - segment.start


def test_pages_outside_of_every_area_are_refused():
    with pytest.raises(SnapshotFailed, match="outside"):
        placed([area(1, 5)], [4, 5])
