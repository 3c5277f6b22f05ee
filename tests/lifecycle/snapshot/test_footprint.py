import ctypes
import gc
import logging

import pytest

from rookery.lifecycle.snapshot.footprint import shrink


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
