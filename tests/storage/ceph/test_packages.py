import pytest

from rookery.errors import CephMissing
from rookery.storage.ceph import packages
from rookery.storage.ceph.packages import missing_packages, require_packages

PROGRAMS = tuple(packages._PACKAGES)


def folder_with(tmp_path, *programs):
    for program in programs:
        (tmp_path / program).touch(mode=0o755)
    return str(tmp_path)


def test_nothing_is_missing_where_every_program_is(tmp_path):
    assert missing_packages(folder_with(tmp_path, *PROGRAMS)) == ()


def test_every_package_is_named_once(tmp_path):
    assert missing_packages(str(tmp_path)) == ("ceph-mon", "ceph-osd", "radosgw")


@pytest.mark.parametrize(
    ("absent", "package"),
    [("ceph-osd", "ceph-osd"), ("radosgw-admin", "radosgw"), ("monmaptool", "ceph-mon")],
)
def test_only_the_package_of_what_is_missing_is_named(tmp_path, absent, package):
    path = folder_with(tmp_path, *(program for program in PROGRAMS if program != absent))
    assert missing_packages(path) == (package,)


def test_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CephMissing, match=r"sudo apt-get install .*ceph-mon ceph-osd radosgw$"):
        require_packages()
