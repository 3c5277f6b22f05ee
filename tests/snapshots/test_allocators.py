import mmap

import pytest

from rookery.snapshots.allocators import counts_on_zeros


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "libplain.so"
    path.write_bytes(b"\x7fELF" + bytes(100_000))
    return str(path)


@pytest.fixture
def jemalloc(tmp_path):
    path = tmp_path / "polars.abi3.so"
    path.write_bytes(bytes(mmap.PAGESIZE - 3) + b"<jemalloc>: Error in dlsym" + bytes(99))
    return str(path)


def test_jemalloc_is_found_inside_of_another_library(library, jemalloc):
    assert counts_on_zeros([library, jemalloc]) == jemalloc


def test_other_libraries_are_fine(library):
    assert counts_on_zeros([library]) is None


def test_files_that_are_gone_or_empty_are_passed_over(tmp_path, jemalloc):
    empty = tmp_path / "empty.so"
    empty.touch()
    assert counts_on_zeros([str(tmp_path / "gone.so"), str(empty), jemalloc]) == jemalloc
