import ctypes
import errno
import mmap
import os
from pathlib import Path

import pytest

from rookery.errors import SnapshotFailed
from rookery.lifecycle.snapshot.randomness import droppable, forget, renew

LENGTH = 2 * mmap.PAGESIZE
MAP_DROPPABLE = 0x08
_FAILED = ctypes.c_void_p(-1).value

SMAPS = """\
55d0c0a00000-55d0c0a21000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
THPeligible:           0
VmFlags: rd wr mr mw me ac sd
{droppable}{file}"""
DROPPABLE = """\
7f00000fe000-7f0000100000 rw-p 00000000 00:00 0
Size:                  8 kB
VmFlags: rd wr mr mw me ac dd wf dp
"""
FILE = """\
7f0000100000-7f0000128000 r--p 00000000 08:01 1234                       /opt/a dp/lib: 1/dp
Size:                160 kB
VmFlags: rd mr mw me sd
"""  # fmt: skip


@pytest.fixture
def area():
    """Memory that the kernel may drop, with something in it."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    flags = MAP_DROPPABLE | mmap.MAP_ANONYMOUS
    start = library.mmap(
        None, ctypes.c_size_t(LENGTH), mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0
    )
    if start == _FAILED:
        pytest.skip(f"no MAP_DROPPABLE, which Linux 6.11 has: {os.strerror(ctypes.get_errno())}")
    ctypes.memset(start, 0x55, LENGTH)
    yield start
    library.munmap(ctypes.c_void_p(start), ctypes.c_size_t(LENGTH))


@pytest.mark.parametrize(
    ("smaps", "found"),
    [
        ("", []),
        (SMAPS.format(droppable="", file=FILE), []),
        (SMAPS.format(droppable=DROPPABLE, file=FILE), [(0x7F00000FE000, 0x7F0000100000)]),
        (DROPPABLE + DROPPABLE, [(0x7F00000FE000, 0x7F0000100000)] * 2),
        # Of kernels without flags.
        ("7f0000100000-7f0000128000 rw-p 00000000 00:00 0\nSize:  160 kB\n", []),
        ("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\nVmFlags: dp\n",
         [(0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000)]),
    ],
)  # fmt: skip
def test_areas_are_droppable_by_their_flag(smaps, found):
    assert droppable(smaps) == found


def test_droppable_memory_is_zeros_afterwards(area):
    kept = forget()
    assert ctypes.string_at(area, LENGTH) == bytes(LENGTH)
    assert any(start <= area < end for start, end in kept)


def test_other_memory_is_kept():
    block = bytearray(b"x" * LENGTH)
    forget()
    assert block == b"x" * LENGTH


def test_memory_that_has_lost_its_flags_has_them_again(area):
    library = ctypes.CDLL(None)
    plain = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10  # MAP_FIXED
    library.mmap(ctypes.c_void_p(area), ctypes.c_size_t(LENGTH), 3, plain, -1, ctypes.c_long(0))
    ctypes.memset(area, 0x55, LENGTH)
    renew([(area, area + LENGTH)])
    assert ctypes.string_at(area, LENGTH) == bytes(LENGTH)
    kept = droppable(Path("/proc/self/smaps").read_text())
    assert any(start <= area < end for start, end in kept)


def test_memory_that_cannot_be_renewed_is_not_passed_over(area):
    with pytest.raises(SnapshotFailed, match=f"{os.strerror(errno.EINVAL)}; clones would"):
        renew([(area + 1, area + LENGTH)])


def test_where_no_smaps_is_nothing_is_droppable(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert forget() == []
