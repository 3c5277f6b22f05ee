import pytest

from rookery.local.ceph import StallWatch
from rookery.storage.ceph.queues import Queue

EMPTY = Queue((0, 100), (0, 100))


def waiting(offset):
    return Queue((0, offset), (0, 9000))


@pytest.fixture
def watch():
    return StallWatch()


def seen(watch, *looks):
    return [watch.is_stalled(queue, now) for now, queue in looks]


def test_a_queue_that_stands_still_has_stalled(watch):
    looks = [(0, waiting(5)), (10, waiting(5)), (16, waiting(5))]
    assert seen(watch, *looks) == [False, False, True]


def test_a_stall_that_lasts_is_told_less_and_less_often(watch):
    looks = [(now, waiting(5)) for now in range(0, 120, 5)]
    stalled = [now for now, told in zip(range(0, 120, 5), seen(watch, *looks), strict=True) if told]
    assert stalled == [15, 45, 105]


def test_after_it_has_moved_patience_is_short_again(watch):
    seen(watch, (0, waiting(5)), (15, waiting(5)))
    assert seen(watch, (20, waiting(6)), (35, waiting(6))) == [False, True]


def test_a_queue_that_moves_has_not(watch):
    looks = [(now, waiting(now)) for now in range(0, 100, 10)]
    assert not any(seen(watch, *looks))


@pytest.mark.parametrize("between", [EMPTY, None])
def test_a_queue_that_was_empty_or_nobodys_meanwhile_has_not(watch, between):
    looks = [(0, waiting(5)), (10, between), (20, waiting(5)), (34, waiting(5))]
    assert not any(seen(watch, *looks))


def test_nothing_to_deliver_is_no_stall(watch):
    assert not any(seen(watch, (0, EMPTY), (100, EMPTY), (200, None)))
