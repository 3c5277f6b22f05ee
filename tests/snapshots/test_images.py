import pytest

from dumps import Kind, Memory, area_entry, image, write_dump
from rookery.errors import SnapshotFailed
from rookery.protobuf import Field, length, varint
from rookery.snapshots import images
from rookery.snapshots.images import PAGE, Area, Run

PAGES = {5 * PAGE: b"a" * PAGE, 6 * PAGE: b"b" * PAGE, 9 * PAGE: b"c" * PAGE}
ONE_AREA = Memory(4 * PAGE, 16 * PAGE, Kind(), PAGES)


@pytest.fixture
def dump(tmp_path):
    write_dump(tmp_path, [ONE_AREA])
    return tmp_path


def pagemap(*entries):
    return image("pagemap", [[varint(1, 1)], *entries])


def test_areas_and_runs_are_read(dump):
    read = images.read(dump)
    assert (read.mm, read.pagemap, read.pages) == ("mm-1.img", "pagemap-1.img", "pages-1.img")
    assert [(area.start, area.end) for area in read.areas] == [(4 * PAGE, 16 * PAGE)]
    assert [(run.start, run.pages, run.offset) for run in read.runs] == [
        (5 * PAGE, 2, 0),
        (9 * PAGE, 1, 2 * PAGE),
    ]


def test_images_written_again_are_the_same(dump):
    images.rewrite(dump, images.read(dump), to=".new")
    for name in ("mm-1.img", "pagemap-1.img"):
        assert (dump / f"{name}.new").read_bytes() == (dump / name).read_bytes()


def test_new_images_are_private(dump):
    images.rewrite(dump, images.read(dump), to=".new")
    assert (dump / "mm-1.img.new").stat().st_mode & 0o777 == 0o600


def test_a_field_that_is_not_known_is_kept(dump):
    entry = (*area_entry(PAGE, 2 * PAGE, Kind()), length(99, b"of the future"))
    changed = images.read(dump)._replace(areas=(Area(PAGE, 2 * PAGE, entry),))
    images.rewrite(dump, changed, to=".new")
    (dump / "mm-1.img.new").rename(dump / "mm-1.img")
    assert images.read(dump).areas[0].entry == entry


def test_a_part_of_a_file_begins_where_it_is_in_the_file():
    kind = Kind(flags=0x2, status=0x41, file=7, offset=3 * PAGE)
    area = Area(4 * PAGE, 9 * PAGE, tuple(area_entry(4 * PAGE, 9 * PAGE, kind)))
    part = Area(
        6 * PAGE, 7 * PAGE, tuple(area_entry(6 * PAGE, 7 * PAGE, kind._replace(offset=5 * PAGE)))
    )
    assert area.cut(6 * PAGE, 7 * PAGE) == part


def test_libraries_are_the_files_that_code_is_mapped_from(tmp_path):
    code = Kind(prot=5, flags=0x2, status=0x41, file=7)
    write_dump(tmp_path, [ONE_AREA, Memory(20 * PAGE, 21 * PAGE, code, {})])
    assert images.read(tmp_path).libraries == ("/bin/true",)
    assert images.read(tmp_path).mapped == ()


def test_a_file_without_code_in_it_is_no_library(tmp_path):
    data = Kind(flags=0x2, status=0x41, file=7)
    write_dump(tmp_path, [ONE_AREA, Memory(20 * PAGE, 21 * PAGE, data, {})])
    assert images.read(tmp_path).libraries == ()
    assert images.read(tmp_path).mapped == ("/bin/true",)


def test_a_file_may_be_mapped_to_be_shared(tmp_path):
    shared = Kind(prot=1, flags=0x1, status=0x81, file=7)
    write_dump(tmp_path, [Memory(20 * PAGE, 21 * PAGE, shared, {})])
    assert images.read(tmp_path).mapped == ("/bin/true",)


def test_a_file_that_is_only_open_is_not_mapped(dump):
    assert images.read(dump).mapped == ()


def test_data_of_a_library_that_is_described_twice_is_still_the_library_s(tmp_path):
    code, data = Kind(prot=5, flags=2, status=0x41, file=7), Kind(flags=2, status=0x41, file=8)
    areas = [Memory(20 * PAGE, 21 * PAGE, code, {}), Memory(21 * PAGE, 22 * PAGE, data, {})]
    write_dump(tmp_path, areas)
    images.add_file(tmp_path, 8, "/bin/true", to=".new")
    (tmp_path / "files.img.new").rename(tmp_path / "files.img")
    assert images.read(tmp_path).mapped == ()


def test_the_added_file_is_named_by_a_free_id(dump):
    images.add_file(dump, images.read(dump).unused_file, "/rookery/memory", to=".new")
    (dump / "files.img.new").rename(dump / "files.img")
    assert images.read(dump).files == ((7, "/bin/true"), (8, "/rookery/memory"))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("mm-1.img", b"\0" * 8, "starts with 0000000000000000"),
        ("mm-1.img", b"", "at least 8 bytes"),
        ("mm-1.img", image("pagemap", [[]]), "mm-1.img starts with"),
        ("mm-1.img", image("mm", [[varint(1, 1)]])[:-1], "ends in the middle"),
        ("mm-1.img", image("mm", [[length(14, b"\x08")]]), "ends inside the number"),
        ("mm-1.img", image("mm", []), "unpack"),
        ("files.img", image("files", [[varint(3, 1)]]), "field 3 is a varint"),
        ("mm-2.img", image("mm", [[]]), "the memory of 2"),
        ("pstree.img", image("pstree", [[varint(1, 1)], [varint(1, 2)]]), "2 processes"),
        ("pages-1.img", b"x" * PAGE, "names 12,288"),
        ("pagemap-1.img", pagemap([varint(1, 5 * PAGE), varint(2, 3), varint(4, 1)]), "not known"),
        (
            "pagemap-1.img",
            pagemap([varint(1, 5 * PAGE), varint(2, 3), varint(3, 1)]),
            "not known",
        ),
        (
            "pagemap-1.img",
            pagemap([varint(1, 5 * PAGE), varint(2, 3), varint(4, 4), varint(9, 100)]),
            "not known",
        ),
        (
            "pagemap-1.img",
            pagemap([varint(1, 5), varint(2, 3), varint(4, 4)]),
            "in a wrong place",
        ),
        (
            "pagemap-1.img",
            pagemap(*[[varint(1, at * PAGE), varint(2, 1), varint(4, 4)] for at in (9, 5, 7)]),
            "in a wrong place",
        ),
    ],
)
def test_what_is_not_understood_is_refused(dump, name, content, reason):
    (dump / name).write_bytes(content)
    with pytest.raises(SnapshotFailed, match=reason):
        images.read(dump)


@pytest.mark.parametrize(
    "name", ["mm-1.img", "pagemap-1.img", "pages-1.img", "pstree.img", "files.img"]
)
def test_a_missing_image_is_refused(dump, name):
    (dump / name).unlink()
    with pytest.raises(SnapshotFailed, match="not understood"):
        images.read(dump)


def test_a_dump_on_top_of_another_is_refused(dump):
    (dump / "parent").symlink_to("../before")
    with pytest.raises(SnapshotFailed, match="dump of a parent"):
        images.read(dump)


@pytest.mark.parametrize(
    ("kind", "mappable"),
    [
        (Kind(), True),
        (Kind(prot=1), True),
        (Kind(flags=0x4022), True),  # MAP_NORESERVE
        (Kind(status=0x221), True),  # the heap
        (Kind(madv=1 << 14), True),  # MADV_HUGEPAGE
        (Kind(madv=1 << 16), True),  # MADV_DONTDUMP
        (Kind(prot=0), False),
        (Kind(prot=5), False),
        (Kind(prot=7), False),
        (Kind(flags=0x122), False),  # MAP_GROWSDOWN: a stack
        (Kind(flags=0x2022), False),  # MAP_LOCKED
        (Kind(flags=0x40022), False),  # MAP_HUGETLB
        (Kind(flags=0x2, status=0x41), True),  # what was written of a file
        (Kind(prot=5, flags=0x2, status=0x41), False),  # its code
        (Kind(flags=0x2), False),
        (Kind(flags=0x1, status=0x81), False),  # a shared file
        (Kind(flags=0x21, status=0x101), False),  # shared
        (Kind(status=0x209), False),  # the vDSO
        (Kind(status=0x1201), False),  # its data
        (Kind(madv=1 << 10), False),  # MADV_DONTFORK
        (Kind(madv=1 << 12), False),  # MADV_MERGEABLE
        (Kind(madv=1 << 18), False),  # MADV_WIPEONFORK
    ],
)
def test_only_plain_anonymous_memory_may_come_from_a_file(kind, mappable):
    area = Area(PAGE, 2 * PAGE, tuple(area_entry(PAGE, 2 * PAGE, kind)))
    assert area.mappable is mappable


def test_a_mapped_part_keeps_protection_and_advice():
    kind = Kind(prot=1, flags=0x4022, status=0x221, madv=1 << 15)
    area = Area(PAGE, 9 * PAGE, tuple(area_entry(PAGE, 9 * PAGE, kind)))
    mapped = area.mapped(2 * PAGE, 3 * PAGE, file=8, offset=5 * PAGE)
    assert (mapped.start, mapped.end) == (2 * PAGE, 3 * PAGE)
    expected = area_entry(2 * PAGE, 3 * PAGE, Kind(1, 0x4002, 0x41, 1 << 15))
    expected[2:4] = [varint(3, 5 * PAGE), varint(4, 8)]
    assert list(mapped.entry) == [*expected, varint(10, 0)]


def test_a_part_of_a_run_knows_its_place_in_the_pages():
    entry = (varint(1, 4 * PAGE), varint(2, 5), varint(4, 6))
    part = Run(4 * PAGE, 5, 7 * PAGE, entry).cut(6 * PAGE, 8 * PAGE)
    assert part == Run(6 * PAGE, 2, 9 * PAGE, (varint(1, 6 * PAGE), varint(2, 2), Field(4, 0, 6)))
