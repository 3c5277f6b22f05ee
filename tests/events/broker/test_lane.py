import threading

import pytest

from rookery.events.broker.lane import MOST_TAKEN, PAGE, Lane
from rookery.events.broker.reading import Item


class Queue:
    """What a journal holds: offsets that are due."""

    def __init__(self, *offsets):
        self.offsets = list(offsets)
        self.next_at = 0.0
        self.asked = 0

    def fetch(self, limit):
        self.asked += 1
        return [Item(offset, 0, self.next_at) for offset in self.offsets[:limit]]

    def queue_again(self, *offsets):
        self.offsets = list(offsets)
        self.next_at += 1


def take(lane, count):
    return [lane.take().offset for _ in range(count)]


def test_hands_out_each_delivery_once_in_order():
    lane = Lane(Queue(1, 2, 3).fetch)
    assert take(lane, 3) == [1, 2, 3]


def test_asks_for_one_page_at_a_time():
    queue = Queue(*range(10 * PAGE))
    lane = Lane(queue.fetch)
    assert take(lane, PAGE) == list(range(PAGE))
    assert queue.asked == 1


def test_does_not_ask_again_before_there_is_news():
    queue = Queue(1)
    lane = Lane(queue.fetch)
    lane.take()
    waiting = threading.Thread(target=lane.take)
    waiting.start()
    waiting.join(0.1)
    lane.stop()
    waiting.join()
    assert queue.asked == 1


def test_goes_on_when_it_is_woken():
    queue = Queue()
    lane, found = Lane(queue.fetch), []
    thread = threading.Thread(target=lambda: found.append(lane.take().offset))
    thread.start()
    queue.offsets.append(7)
    lane.wake(1)
    thread.join(10)
    assert found == [7]


def test_what_was_queued_again_while_taken_is_handed_out_after_it_came_back():
    queue = Queue(1, 2)
    lane = Lane(queue.fetch)
    first = lane.take()
    lane.give_back(lane.take())
    queue.queue_again(1)
    lane.wake(1)
    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(lane.take()))
    thread.start()
    thread.join(0.05)  # it has asked, and has seen 1 as taken; or will, which must do as well
    lane.give_back(first)
    lane.wake(1)
    thread.join(10)
    assert [item.offset for item in waiting] == [1]


def test_a_worker_that_gives_back_finds_what_was_passed_over():
    queue = Queue(1)
    lane = Lane(queue.fetch)
    item = lane.take()
    queue.queue_again(1, 2)
    lane.wake(1)
    assert lane.take().offset == 2  # 1 was seen here, and passed over
    lane.give_back(item)
    assert lane.take().offset == 1


def test_stopping_ends_every_wait():
    lane = Lane(Queue().fetch)
    results = []
    threads = [threading.Thread(target=lambda: results.append(lane.take())) for _ in range(4)]
    for thread in threads:
        thread.start()
    lane.stop()
    for thread in threads:
        thread.join(10)
    assert results == [None] * 4


def test_what_is_not_written_down_yet_is_not_handed_out_again():
    queue = Queue(1)
    lane = Lane(queue.fetch)
    item = lane.take()
    queue.offsets = [1, 2]
    lane.wake(1)
    assert lane.take().offset == 2
    queue.offsets = [2]
    lane.give_back(item)
    assert queue.asked == 2


def test_no_more_is_handed_out_than_may_wait_to_be_written_down():
    queue, found = Queue(*range(2 * MOST_TAKEN)), []
    lane = Lane(queue.fetch)
    taken = [lane.take() for _ in range(MOST_TAKEN)]
    queue.offsets.remove(0)
    thread = threading.Thread(target=lambda: found.append(lane.take().offset))
    thread.start()
    thread.join(0.05)
    assert found == []
    lane.give_back(*taken[:1])
    thread.join(10)
    assert found == [MOST_TAKEN]


def test_loads_only_what_it_hands_out():
    loaded = []

    def load(items):
        loaded.append([item.offset for item in items])
        return items

    queue = Queue(1)
    lane = Lane(queue.fetch, load)
    lane.take()
    queue.offsets = [1, 2]
    lane.wake(1)
    lane.take()
    assert loaded == [[1], [2]]


@pytest.mark.parametrize("workers", [1, 8])
def test_workers_share_everything_without_overlap(workers):
    lock, left, taken = threading.Lock(), list(range(1000)), []

    def fetch(limit):
        with lock:
            return [Item(offset, 0, 0.0) for offset in left[:limit]]

    lane = Lane(fetch)

    def work():
        while (item := lane.take()) is not None:
            with lock:
                left.remove(item.offset)
                taken.append(item.offset)
                if not left:
                    lane.stop()
            lane.give_back(item)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(taken) == list(range(1000))
