import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumps import ANONYMOUS, REGULAR_ANONYMOUS, Kind, Memory, file_ids, restored, write_dump
from rookery import protobuf
from rookery.errors import SnapshotFailed
from rookery.snapshots import image_file, images, layout
from rookery.snapshots.images import PAGE
from rookery.snapshots.layout import lay_out
from rookery.snapshots.placement import HUGE

KINDS = st.builds(
    Kind,
    prot=st.sampled_from([1, 3, 3, 3, 5, 7]),
    flags=st.sampled_from([ANONYMOUS, ANONYMOUS, 0x4022, 0x122, 0x2]),
    status=st.sampled_from([REGULAR_ANONYMOUS, REGULAR_ANONYMOUS, 0x221, 0x41, 0x1201]),
    madv=st.sampled_from([0, 0, 1 << 14, 1 << 10]),
    file=st.just(0),
    offset=st.just(0),
)
NAMES = {"memory", "mm-1.img", "pagemap-1.img", "pages-1.img", "files.img", "pstree.img"}


def page(number):
    return number.to_bytes(8, "little") * (PAGE // 8)


@st.composite
def memories(draw):
    areas = []
    at = draw(st.integers(1, 600))
    for _ in range(draw(st.integers(1, 4))):
        at += draw(st.sampled_from([0, 0, 1, 3, 511]))
        size = draw(st.integers(1, 40) | st.integers(500, 1100))
        # Long areas have few pages, so that an example does not take seconds.
        firsts = draw(st.lists(st.integers(0, size - 1), max_size=6))
        touched = {
            at + number
            for first in firsts
            for number in range(first, min(size, first + draw(st.integers(1, 12))))
        }
        pages = {number * PAGE: page(number) for number in touched}
        areas.append(Memory(at * PAGE, (at + size) * PAGE, draw(KINDS), pages))
        at += size
    return areas


@settings(max_examples=60, deadline=None)
@given(
    memories(),
    st.sampled_from([1, 2, 5, 16]),
    st.sampled_from([0, 1, 4, 600]),
    st.sampled_from([1, 3, 512]),
)
def test_a_restore_has_the_same_memory_as_before(memory, shortest_run, widest_gap, longest_run):
    with tempfile.TemporaryDirectory() as folder:
        write_dump(Path(folder), memory, longest_run=longest_run)
        done = lay_out(folder, shortest_run=shortest_run, widest_gap=widest_gap)
        after = images.read(Path(folder))
        assert restored(Path(folder)) == {
            address: content for area in memory for address, content in area.pages.items()
        }
        pages = sum(len(area.pages) for area in memory)
        assert done.mapped + done.copied == pages * PAGE
        assert done.areas == len(after.areas)


@settings(max_examples=60, deadline=None)
@given(memories())
def test_every_address_keeps_its_protection(memory):
    with tempfile.TemporaryDirectory() as folder:
        write_dump(Path(folder), memory)
        lay_out(folder, shortest_run=1)
        after = images.read(Path(folder)).areas
    at = iter(after)
    for area in memory:
        start = area.start
        while start < area.end:
            part = next(at)
            assert part.start == start
            assert protobuf.integer(part.entry, 5) == area.kind.prot
            assert protobuf.integer(part.entry, 9) == area.kind.madv
            start = part.end
        assert start == area.end
    assert next(at, None) is None


def every_second_page(count):
    pages = {number * PAGE: page(number) for number in range(2, 2 * count, 2)}
    return Memory(PAGE, 4 * count * PAGE, Kind(), pages)


@pytest.fixture
def dump(tmp_path):
    pages = {number * PAGE: page(number) for number in range(10, 110)}
    write_dump(tmp_path, [Memory(PAGE, 200 * PAGE, Kind(), pages)])
    return tmp_path


def test_all_files_are_private_and_none_is_left_over(dump):
    lay_out(str(dump))
    assert {path.name for path in dump.iterdir()} == NAMES
    for name in NAMES - {"pstree.img"}:
        assert (dump / name).stat().st_mode & 0o777 == 0o600


def test_mapped_pages_are_not_copied_as_well(dump):
    done = lay_out(str(dump))
    assert done == layout.Layout(mapped=100 * PAGE, copied=0, areas=3, shortest_run=1)
    assert (dump / "pages-1.img").stat().st_size == 0
    assert (dump / "memory").stat().st_size == 100 * PAGE


def test_a_process_with_jemalloc_stays_as_it_is(dump, tmp_path_factory, caplog):
    library = tmp_path_factory.mktemp("lib") / "libfast.so"
    library.write_bytes(b"x" * 5000 + b"<jemalloc>: out of memory")
    code = Memory(300 * PAGE, 310 * PAGE, Kind(5, 2, 0x41, file=7), {})
    pages = {number * PAGE: page(number) for number in range(10, 110)}
    write_dump(dump, [Memory(PAGE, 200 * PAGE, Kind(), pages), code], library=str(library))
    before = {path.name: path.read_bytes() for path in dump.iterdir()}
    done = lay_out(str(dump))
    assert (done.mapped, done.copied) == (0, 100 * PAGE)
    assert {path.name: path.read_bytes() for path in dump.iterdir()} == before
    assert f"{library} has jemalloc in it" in caplog.text


def test_written_pages_of_a_library_are_mapped_and_the_others_stay_its_own(tmp_path):
    pages = {number * PAGE: page(number) for number in (12, 13, 17)}
    kind = Kind(3, 2, 0x41, file=7, offset=5 * PAGE)
    write_dump(tmp_path, [Memory(10 * PAGE, 20 * PAGE, kind, pages)])
    lay_out(str(tmp_path))
    ours = file_ids(tmp_path)["/rookery/memory"]
    assert [
        (part.start // PAGE, protobuf.integer(part.entry, 4), protobuf.integer(part.entry, 3))
        for part in images.read(tmp_path).areas
    ] == [
        (10, 7, 5 * PAGE),
        (12, ours, 0),
        (14, 7, 9 * PAGE),
        (17, ours, 2 * PAGE),
        (18, 7, 13 * PAGE),
    ]
    assert restored(tmp_path) == pages


def test_the_file_of_memory_is_named_so_that_criu_is_handed_it(dump):
    lay_out(str(dump))
    assert file_ids(dump) == {"/bin/true": 7, "/rookery/memory": 8}


def test_holes_between_long_stretches_take_no_room_on_the_disk(tmp_path):
    far = 10 * HUGE // PAGE
    first = {number * PAGE: page(number) for number in range(1, 514)}
    second = {number * PAGE: page(number) for number in range(far, far + 513)}
    write_dump(
        tmp_path,
        [
            Memory(PAGE, 514 * PAGE, Kind(), first),
            Memory(far * PAGE, (far + 513) * PAGE, Kind(), second),
        ],
    )
    lay_out(str(tmp_path))
    size = (tmp_path / "memory").stat()
    assert size.st_size > 1027 * PAGE
    assert size.st_blocks * 512 < 1040 * PAGE


def test_fewer_stretches_are_mapped_where_the_kernel_allows_few(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "_most_areas", lambda: 100)
    write_dump(tmp_path, [every_second_page(300)])
    done = lay_out(str(tmp_path), shortest_run=1, widest_gap=0)
    assert done.areas <= 100
    assert done.shortest_run > 1
    assert len(restored(tmp_path)) == 299


def test_half_of_the_mappings_the_kernel_allows_are_used():
    allowed = int(Path("/proc/sys/vm/max_map_count").read_text())
    assert layout._most_areas() == allowed // 2


def test_a_dump_that_is_not_understood_stays_as_it_is(dump):
    (dump / "parent").symlink_to("elsewhere")
    before = {path.name: path.read_bytes() for path in dump.iterdir() if path.is_file()}
    with pytest.raises(SnapshotFailed):
        lay_out(str(dump))
    assert {path.name: path.read_bytes() for path in dump.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("name", ["memory", "pages-1.img", "mm-1.img", "files.img"])
def test_a_full_disk_leaves_the_dump_as_it_was(dump, monkeypatch, name):
    before = {path.name: path.read_bytes() for path in dump.iterdir()}
    create = layout.create

    def full(path):
        if path.name.startswith(name):
            path.touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return create(path)

    monkeypatch.setattr(layout, "create", full)
    monkeypatch.setattr(image_file, "create", full)
    with pytest.raises(SnapshotFailed, match="No space left on device"):
        lay_out(str(dump))
    assert {path.name: path.read_bytes() for path in dump.iterdir()} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_really_full_disk_leaves_the_dump_as_it_was(tmp_path):
    pages = {number * PAGE: page(number) for number in range(10, 900)}
    write_dump(tmp_path, [Memory(PAGE, 1000 * PAGE, Kind(), pages)])
    script = """
import sys, shutil, pathlib
from rookery.errors import SnapshotFailed
from rookery.snapshots.layout import lay_out
source, small = sys.argv[1:]
shutil.copytree(source, small, dirs_exist_ok=True)
before = sorted(path.name for path in pathlib.Path(small).iterdir())
try:
    lay_out(small)
except SnapshotFailed as exc:
    print(exc)
assert sorted(path.name for path in pathlib.Path(small).iterdir()) == before
"""
    small = tmp_path.with_name("small")
    small.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec",
         'mount -t tmpfs -o size=5m none "$3"; exec "$0" -c "$1" "$2" "$3"',
         sys.executable, script, tmp_path, small],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stdout
