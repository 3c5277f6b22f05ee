import os
import stat

import pytest

from rookery.snapshots import verified
from rookery.snapshots.verified import identity, remember

FILES = ("memory", "mm-1.img")


def is_verified(directory, files):
    return verified.is_verified(directory, identity(directory, files))


def check(directory, files):
    """Read them, and find them in order."""
    remember(directory, files, identity(directory, files))


@pytest.fixture
def snapshot(tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(b"pages of " + name.encode())
    check(str(tmp_path), FILES)
    return tmp_path


def test_what_was_checked_and_is_as_it_was_need_not_be_checked_again(snapshot):
    assert is_verified(str(snapshot), FILES)
    assert is_verified(str(snapshot), reversed(FILES))


def test_the_stamp_is_as_private_as_the_snapshot(snapshot):
    assert stat.S_IMODE((snapshot / verified.NAME).stat().st_mode) == 0o600
    assert sorted(path.name for path in snapshot.iterdir()) == sorted([*FILES, verified.NAME])


def rewrite(path):
    before = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # the change time stays honest


def replace(path):
    (path.parent / "fresh").write_bytes(path.read_bytes())
    (path.parent / "fresh").replace(path)


@pytest.mark.parametrize("change", [rewrite, replace, os.unlink, lambda path: os.truncate(path, 3)])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_touched_is_checked_again(snapshot, name, change, wait_until):
    before = (snapshot / name).stat().st_ctime_ns
    probe = snapshot / "clock"

    def ticked():
        probe.write_bytes(b"")
        return probe.stat().st_ctime_ns > before

    wait_until(ticked, "the file system's clock, which is coarse, to go on")
    change(snapshot / name)
    assert not is_verified(str(snapshot), FILES)


@pytest.mark.parametrize("name", FILES)
def test_what_changes_while_it_is_read_is_read_again(snapshot, name):
    (snapshot / verified.NAME).unlink()
    before = identity(str(snapshot), FILES)
    replace(snapshot / name)
    remember(str(snapshot), FILES, before)
    assert not is_verified(str(snapshot), FILES)


def test_a_file_elsewhere_is_checked_again_when_it_was_touched(snapshot, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("model") / "model.bin"
    elsewhere.write_bytes(b"weights")
    files = (*FILES, str(elsewhere))
    check(str(snapshot), files)
    assert is_verified(str(snapshot), files)
    replace(elsewhere)
    assert not is_verified(str(snapshot), files)


def test_so_is_everything_after_a_boot(snapshot, monkeypatch):
    monkeypatch.setattr(verified, "boot", lambda: "another")
    assert not is_verified(str(snapshot), FILES)


def test_so_is_what_another_set_of_files_was_checked_for(snapshot):
    assert not is_verified(str(snapshot), FILES[:1])


@pytest.mark.parametrize("stamp", [b"", b"\xff", b"yes"])
def test_a_stamp_that_is_none_says_nothing(snapshot, stamp):
    (snapshot / verified.NAME).write_bytes(stamp)
    assert not is_verified(str(snapshot), FILES)


def test_where_no_stamp_can_be_written_none_is(tmp_path):
    check(str(tmp_path / "no such folder"), [])
    check(str(tmp_path), ["no such file"])
    assert not is_verified(str(tmp_path), ["no such file"])


def test_a_boot_has_a_name():
    assert len(verified.boot()) == 36
