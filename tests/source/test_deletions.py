import threading

import pytest

from rookery.errors import QueueUnavailable
from rookery.link import Link
from rookery.source.deletions import Deletions
from rookery.source.protocol import Message

LONG = 3600.0


def messages(first, last):
    return [Message(id=str(n), receipt=str(n), body="") for n in range(first, last)]


class RecordingQueue:
    """Keeps the sizes of the batches that are deleted, and fails as often as it is told to."""

    def __init__(self, failures=0):
        self.batches = []
        self.failures = failures
        self.asked = threading.Semaphore(0)

    def delete(self, batch):
        try:
            if self.failures:
                self.failures -= 1
                raise QueueUnavailable("delete failed")
            self.batches.append([message.id for message in batch])
        finally:
            self.asked.release()


@pytest.fixture
def deletions():
    """Start one on a queue; what a test leaves running ends with it."""
    running = []

    def start(queue, link=None, *, linger_seconds):
        each = Deletions(queue, link or Link("the queue"), linger_seconds=linger_seconds)
        each.start()
        running.append(each)
        return each

    yield start
    for each in running:
        each.close(10)


def test_a_full_batch_does_not_wait(deletions):
    queue = RecordingQueue()

    deletions(queue, linger_seconds=LONG).add(messages(0, 10))
    queue.asked.acquire()

    assert queue.batches == [[str(n) for n in range(10)]]


def test_a_single_message_is_deleted_after_the_linger(deletions):
    queue = RecordingQueue()

    deletions(queue, linger_seconds=0.01).add(messages(0, 1))
    queue.asked.acquire()

    assert queue.batches == [["0"]]


def test_what_comes_while_waiting_goes_along(deletions):
    queue = RecordingQueue()
    each = deletions(queue, linger_seconds=LONG)

    each.add(messages(0, 4))
    each.add(messages(4, 10))
    queue.asked.acquire()

    assert len(queue.batches) == 1


def test_closing_deletes_everything_at_once_ten_at_a_time(deletions):
    queue = RecordingQueue()
    each = deletions(queue, linger_seconds=LONG)

    each.add(messages(0, 25))
    done = each.close(10)

    assert done
    assert [len(batch) for batch in queue.batches] == [10, 10, 5]


def test_a_failure_is_noted_and_the_next_batch_is_deleted(deletions):
    queue, link = RecordingQueue(failures=1), Link("the queue")
    each = deletions(queue, link, linger_seconds=LONG)

    each.add(messages(0, 20))
    each.close(10)

    assert queue.batches == [[str(n) for n in range(10, 20)]]
    assert link.failures == 1


def test_closing_gives_up_on_a_queue_that_does_not_answer(deletions):
    release = threading.Event()

    class StuckQueue:
        def delete(self, _batch):
            release.wait()

    each = deletions(StuckQueue(), linger_seconds=0.0)
    each.add(messages(0, 1))
    done = each.close(0.01)
    release.set()

    assert not done
