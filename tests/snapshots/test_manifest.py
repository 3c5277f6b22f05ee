import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import SnapshotInvalid
from rookery.snapshots import manifest
from rookery.snapshots.manifest import Manifest

BIG = 1 << 20  # from here on, content is only looked at by verify_big

texts = st.text(st.characters(exclude_categories=["Cs"]))
dictionaries = st.dictionaries(texts, texts, max_size=4)
manifests = st.builds(
    Manifest,
    function=texts,
    folder=texts,
    made=texts,
    facts=dictionaries,
    frozen=dictionaries,
    pipes=dictionaries,
    sizes=st.dictionaries(texts, st.integers(), max_size=4),
    files=st.dictionaries(texts, st.tuples(st.integers(), texts), max_size=4),
)


def fields(described):
    return {name: getattr(described, name) for name in Manifest.__slots__}


def described_as(directory, *elsewhere):
    return Manifest(
        function="classify",
        folder="/functions/classify",
        made="2026-11-21T12:00:00Z",
        facts={"kernel": "6.18"},
        frozen={"ROOKERY_TOP_K": "5"},
        pipes={"stdout": "pipe:[1]"},
        sizes={"mapped": 4096},
        files=manifest.sums(str(directory), elsewhere),
    )


@pytest.fixture
def snapshot(tmp_path):
    """A directory of a small, a big and an empty file, and its manifest."""
    (tmp_path / "core-1.img").write_bytes(b"a process")
    (tmp_path / "memory").write_bytes(os.urandom(BIG + 5))
    (tmp_path / "empty.img").touch()
    manifest.write(str(tmp_path), described_as(tmp_path))
    return tmp_path


def verify(directory):
    described = manifest.read(str(directory))
    manifest.verify_small(str(directory), described)
    manifest.verify_big(str(directory), described)


# --- the manifest itself -------------------------------------------------------------------


@given(manifests)
def test_what_is_written_is_read(tmp_path_factory, described):
    directory = str(tmp_path_factory.mktemp("snapshot"))
    manifest.write(directory, described)
    assert fields(manifest.read(directory)) == fields(described)


def test_nobody_else_may_read_it(snapshot):
    assert stat.S_IMODE((snapshot / manifest.NAME).stat().st_mode) == 0o600


@given(at=st.integers(min_value=0), flip=st.integers(1, 255))
def test_no_changed_byte_of_it_is_believed(tmp_path_factory, at, flip):
    directory = tmp_path_factory.mktemp("snapshot")
    described = described_as(directory)
    manifest.write(str(directory), described)
    path = directory / manifest.NAME
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= flip
    path.write_bytes(content)
    try:
        read = manifest.read(str(directory))
    except SnapshotInvalid:
        return
    assert fields(read) == fields(described)  # white space for white space


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "manifest.json is damaged: JSONDecodeError"),
        (b'{"format": 1, "fun', "manifest.json is damaged: JSONDecodeError"),
        (b"\xff\xfe", "manifest.json is damaged: UnicodeDecodeError"),
        (b"[" * 100_000, "manifest.json is damaged: RecursionError"),
        (b"7", "manifest.json is damaged: TypeError"),
        (b"[]", "manifest.json is damaged: TypeError"),
        (b"{}", "manifest.json is damaged: KeyError: 'format'"),
        (b'{"format": 1}', "manifest.json is damaged: KeyError: 'sum'"),
        (b'{"format": 1, "sum": ""}', "manifest.json is damaged: its checksum is wrong"),
        (b'{"format": 2}', "is a snapshot of format 2, not 1"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_what_to_do(tmp_path, content, message):
    (tmp_path / manifest.NAME).write_bytes(content)
    with pytest.raises(SnapshotInvalid) as raised:
        manifest.read(str(tmp_path))
    assert message in str(raised.value)
    assert str(raised.value).endswith("with: rookery snapshot create")


def test_a_field_that_is_missing_is_named(snapshot):
    content = json.loads((snapshot / manifest.NAME).read_text())
    del content["sum"], content["pipes"]
    content["sum"] = manifest._sum(content)
    (snapshot / manifest.NAME).write_text(json.dumps(content))
    with pytest.raises(SnapshotInvalid, match="damaged: KeyError: 'pipes'"):
        manifest.read(str(snapshot))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.absolute, "No such file or directory"),
        (Path.mkdir, "No such file or directory"),
        (Path.touch, "Not a directory"),
        (lambda path: (path / manifest.NAME).mkdir(parents=True), "Is a directory"),
    ],
    ids=["nothing", "empty folder", "file", "folder for a manifest"],
)
def test_what_is_no_snapshot_is_told_from_a_damaged_one(tmp_path, make, reason):
    path = tmp_path / "it"
    make(path)
    with pytest.raises(SnapshotInvalid) as raised:
        manifest.read(str(path))
    assert f"{path} is no snapshot: manifest.json cannot be read: {reason}" in str(raised.value)


# --- the files beside it -------------------------------------------------------------------


def test_what_was_not_touched_is_in_order(snapshot):
    verify(snapshot)


def test_every_file_is_summed(snapshot):
    (snapshot / "folder").mkdir()
    sums = manifest.sums(str(snapshot))
    assert sorted(sums) == ["core-1.img", "empty.img", "manifest.json", "memory"]
    assert sums["memory"][0] == BIG + 5
    assert {len(digest) for _, digest in sums.values()} == {32}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def append(path):
    path.write_bytes(path.read_bytes() + b"\0")


def cut(path):
    os.truncate(path, path.stat().st_size - 1)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "flipped": (flip, "its checksum is wrong"),
    "longer": (append, "bytes instead of"),
    "shorter": (cut, "bytes instead of"),
    "gone": (os.unlink, "No such file or directory"),
    "a folder": (replace_by_folder, "bytes instead of"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["core-1.img", "memory"])
def test_every_damage_is_found_and_names_the_file(snapshot, name, damage):
    do, message = DAMAGES[damage]
    do(snapshot / name)
    with pytest.raises(SnapshotInvalid) as raised:
        verify(snapshot)
    assert f"{snapshot / name} is damaged: " in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize("size", [5, BIG + 5], ids=["small", "big"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_elsewhere_is_looked_at_and_named_where_it_is_mapped(
    snapshot, tmp_path_factory, size, damage
):
    elsewhere = tmp_path_factory.mktemp("model") / "model.bin"
    elsewhere.write_bytes(os.urandom(size))
    (snapshot / manifest.NAME).unlink()
    manifest.write(str(snapshot), described_as(snapshot, str(elsewhere)))
    verify(snapshot)
    do, message = DAMAGES[damage]
    do(elsewhere)
    with pytest.raises(SnapshotInvalid) as raised:
        verify(snapshot)
    assert f"{elsewhere} has changed since the snapshot was made" in str(raised.value)
    assert message in str(raised.value)


def test_an_empty_file_that_has_grown_is_damaged(snapshot):
    append(snapshot / "empty.img")
    with pytest.raises(SnapshotInvalid, match=r"empty\.img is damaged: 1 bytes instead of 0;"):
        verify(snapshot)


def test_the_pages_are_not_read_before_they_are_restored(snapshot):
    flip(snapshot / "memory")
    described = manifest.read(str(snapshot))
    manifest.verify_small(str(snapshot), described)
    with pytest.raises(SnapshotInvalid, match=r"memory is damaged: its checksum is wrong"):
        manifest.verify_big(str(snapshot), described)


def test_pages_that_vanish_meanwhile_are_damage(snapshot):
    described = manifest.read(str(snapshot))
    manifest.verify_small(str(snapshot), described)
    (snapshot / "memory").unlink()
    with pytest.raises(SnapshotInvalid, match="memory is damaged: No such file"):
        manifest.verify_big(str(snapshot), described)
