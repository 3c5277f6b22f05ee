import stat

import pytest

from rookery.errors import CephInvalid
from rookery.storage.ceph.making import delete_folder, make_folder, require_space


def test_a_folder_is_its_owners_alone(tmp_path):
    folder = tmp_path / "home" / "ceph"
    make_folder(folder)
    assert all(
        stat.S_IMODE(path.stat().st_mode) == 0o700
        for path in (folder, *folder.iterdir())
        if path.is_dir()
    )


@pytest.mark.parametrize("name", ["a b", "a;b", "a#b", "a=b", "it's"])
def test_a_path_that_ceph_cannot_write_is_refused_before_anything_is_made(tmp_path, name):
    with pytest.raises(CephInvalid, match="set ROOKERY_HOME"):
        make_folder(tmp_path / name / "ceph")
    assert not list(tmp_path.iterdir())


def test_what_was_made_is_deleted(tmp_path):
    make_folder(tmp_path / "ceph")
    delete_folder(tmp_path / "ceph")
    assert not (tmp_path / "ceph").exists()


def test_a_deletion_that_was_interrupted_is_taken_up(tmp_path):
    make_folder(tmp_path / "ceph")
    (tmp_path / "ceph" / "mon").rmdir()
    delete_folder(tmp_path / "ceph")
    assert not (tmp_path / "ceph").exists()


def test_what_is_not_ours_is_not_deleted(tmp_path):
    (tmp_path / "ceph").mkdir()
    (tmp_path / "ceph" / "ceph.conf").touch()
    with pytest.raises(CephInvalid, match="no rookery made"):
        delete_folder(tmp_path / "ceph")
    assert (tmp_path / "ceph" / "ceph.conf").exists()


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_folder_or_none_is_nothing_to_keep(tmp_path, there):
    folder = tmp_path / "ceph"
    if there:
        folder.mkdir()
    delete_folder(folder)
    assert not folder.exists()


def test_a_node_that_the_disk_cannot_hold_is_refused(tmp_path):
    with pytest.raises(CephInvalid, match="--size-gib"):
        require_space(tmp_path / "home" / "ceph", 1024**5)
    require_space(tmp_path / "home" / "ceph", 1024**2)
