import ctypes
import gc
import logging
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from rookery.lifecycle.snapshot.footprint import map_large_blocks, shrink


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()


def test_garbage_is_collected():
    class Node:
        pass

    one = Node()
    one.itself = one
    dead = []
    one.__class__.__del__ = lambda _: dead.append(True)
    del one
    shrink()
    assert dead


def test_what_is_left_is_frozen():
    before = gc.get_freeze_count()
    shrink()
    assert gc.get_freeze_count() > before


def test_free_heap_is_given_back(caplog):
    # Small blocks below one that stays: the allocator cannot give them back by itself.
    blocks = [bytes(1000) for _ in range(100_000)]
    keeper = bytes(1000)
    blocks.clear()
    with caplog.at_level(logging.INFO):
        shrink()
    assert keeper
    assert "shrunk from" in caplog.text


def test_a_c_library_without_trimming_is_no_problem(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    shrink()


# --- large blocks --------------------------------------------------------------------------


@dataclass
class Library:
    """A C library that writes down what it is told."""

    told: dict[int, int] = field(default_factory=dict)

    def mallopt(self, parameter, value):
        self.told[parameter] = value
        return 1


MMAP_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -4, -3, -1  # malloc.h
USUAL = {MMAP_MAX: 65_536, MMAP_THRESHOLD: 32 << 20, TRIM_THRESHOLD: 64 << 20}


def without(*parameters):
    return {name: value for name, value in USUAL.items() if name not in parameters}


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"MALLOC_MMAP_MAX_": "0"}, USUAL),
        ({"MALLOC_MMAP_MAX_": "0", "MALLOC_ARENA_MAX": "2"}, USUAL),
        ({"MALLOC_MMAP_MAX_": "0", "MALLOC_MMAP_THRESHOLD_": "4096"}, without(MMAP_THRESHOLD)),
        ({"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "0"}, without(TRIM_THRESHOLD)),
        ({"MALLOC_MMAP_MAX_": "9"}, {}),
        ({}, {}),
    ],
)
def test_large_blocks_are_mapped_again_where_they_were_not(monkeypatch, environ, told):
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    map_large_blocks(environ)
    assert library.told == told


def test_a_c_library_that_takes_no_options_is_no_problem(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    map_large_blocks({"MALLOC_MMAP_MAX_": "0"})


_ALLOCATING = """
import ctypes, os, sys, threading
from rookery.lifecycle.snapshot.footprint import map_large_blocks

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
if not hasattr(libc, "mallopt"):
    sys.exit("no mallopt")
MAPPED_ALONE = 2  # malloc.c: IS_MMAPPED, in the word before the block

def alone(size):
    block = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(block, 1, size)
    return bool(ctypes.c_size_t.from_address(block - 8).value & MAPPED_ALONE)

def look():
    said.append([alone(1 << 20), alone(40 << 20)])

said = []
for step in (lambda: None, lambda: map_large_blocks(os.environ)):
    step()
    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
print(said)
"""


def test_glibc_does_as_it_is_told():
    done = subprocess.run(
        (sys.executable, "-c", _ALLOCATING),
        env={**os.environ, "MALLOC_MMAP_MAX_": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "no mallopt" in done.stderr:
        pytest.skip("this C library has no mallopt")
    assert done.stdout.strip() == str([[False, False]] * 2 + [[False, True]] * 2), done.stderr
