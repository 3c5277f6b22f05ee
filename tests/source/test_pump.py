import json
import logging
import threading
import time

import pytest

from rookery.delivery.memory import MemorySink
from rookery.delivery.retry import RetryPolicy
from rookery.errors import DeliveryRejected, QueueUnavailable, SinkUnavailable
from rookery.events.result import DEADLETTER
from rookery.source.memory import MemoryQueue
from rookery.source.pump import Pump

QUICK = RetryPolicy(base_seconds=0.001, cap_seconds=0.01)


def notification(key):
    return json.dumps(
        {
            "Records": [
                {
                    "eventSource": "aws:s3",
                    "awsRegion": "us-east-1",
                    "eventTime": "2026-01-01T00:00:00.000Z",
                    "eventName": "ObjectCreated:Put",
                    "s3": {"bucket": {"name": "images"}, "object": {"key": key, "eTag": "e"}},
                }
            ]
        }
    )


def until(condition):
    """Poll *condition*; the suite's timeout ends a wait for ever."""
    while not condition():
        time.sleep(0.005)


class StubbornQueue(MemoryQueue):
    """Fails the first calls of each method, as many as it is told to."""

    def __init__(self, **failures):
        super().__init__(wait_seconds=0.05)
        self.failures = failures

    def _maybe_fail(self, name):
        if self.failures.get(name, 0):
            self.failures[name] -= 1
            raise QueueUnavailable(f"{name} failed")

    def receive(self):
        self._maybe_fail("receive")
        return super().receive()

    def delete(self, messages):
        self._maybe_fail("delete")
        super().delete(messages)


@pytest.fixture
def sink():
    return MemorySink()


def pump(queue, sink, *, linger_seconds=0.0, **options):
    return Pump(
        queue, sink, source="/test", backoff=QUICK, linger_seconds=linger_seconds, **options
    )


def subjects(sink):
    return {event.subject for event in sink.events}


def test_moves_everything_and_empties_the_queue(sink):
    queue = MemoryQueue(wait_seconds=0.05)
    keys = {f"{n}.jpg" for n in range(50)}
    for key in keys:
        queue.send(notification(key))

    with pump(queue, sink):
        until(lambda: len(queue) == 0)

    assert subjects(sink) == keys


def test_a_poison_message_does_not_block_the_queue(sink):
    queue = MemoryQueue(wait_seconds=0.05)
    queue.send("poison")
    queue.send(notification("good.jpg"))

    with pump(queue, sink):
        until(lambda: len(queue) == 0)

    assert sorted(event.type for event in sink.events) == [
        "com.amazonaws.s3.ObjectCreated:Put",
        DEADLETTER,
    ]


def test_waits_for_a_sink_that_is_down(sink):
    queue = MemoryQueue(wait_seconds=0.05)
    sink.fail(*[SinkUnavailable("down")] * 5)
    queue.send(notification("a.jpg"))

    with pump(queue, sink) as running:
        until(lambda: len(queue) == 0)

    assert subjects(sink) == {"a.jpg"}
    assert running.tally["postponed"] == 5


def test_waits_for_a_queue_that_is_down(sink):
    queue = StubbornQueue(receive=5)
    queue.send(notification("a.jpg"))

    with pump(queue, sink):
        until(lambda: len(queue) == 0)

    assert subjects(sink) == {"a.jpg"}


def test_a_failed_delete_repeats_the_event_under_its_id(sink):
    queue = StubbornQueue(delete=1)
    queue._visibility = 0.05
    queue.send(notification("a.jpg"))

    with pump(queue, sink):
        until(lambda: len(queue) == 0)

    assert len(sink.events) >= 2  # where the next delete comes late, it is received once more
    assert len({event.id for event in sink.events}) == 1


def test_what_even_as_a_dead_letter_is_refused_stays_in_the_queue(sink):
    queue = MemoryQueue(wait_seconds=0.05)
    sink.fail(*[DeliveryRejected("no")] * 2)
    queue.send(notification("a.jpg"))

    with pump(queue, sink) as running:
        until(lambda: running.tally["postponed"])

    assert len(queue) == 1


def test_an_outage_is_two_log_lines(sink, caplog):
    queue = StubbornQueue(receive=20)
    queue.send(notification("a.jpg"))

    with caplog.at_level(logging.INFO, "rookery.link"), pump(queue, sink, receivers=1):
        until(lambda: len(queue) == 0)

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_leaving_finishes_the_batch_in_hand():
    queue = MemoryQueue(wait_seconds=0.05)
    queue.send(notification("a.jpg"))
    entered, release = threading.Event(), threading.Event()

    class SlowSink(MemorySink):
        def send(self, event):
            entered.set()
            release.wait()
            super().send(event)

    sink = SlowSink()
    with pump(queue, sink):
        entered.wait()
        threading.Timer(0.05, release.set).start()

    assert subjects(sink) == {"a.jpg"}
    assert len(queue) == 0


def test_leaving_does_not_wait_for_a_long_poll(sink):
    class EndlessQueue(MemoryQueue):
        def receive(self):
            waiting.set()
            release.wait()
            return ()

    waiting, release = threading.Event(), threading.Event()

    with pump(EndlessQueue(), sink, receivers=1) as running:
        waiting.wait()
    left_while_waiting = any(thread.is_alive() for thread in running._receivers)
    release.set()

    assert left_while_waiting


def test_a_message_that_breaks_the_sink_ends_no_thread(sink, caplog):
    class BrokenSink(MemorySink):
        def send(self, event):
            if event.subject == "breaks.jpg":
                raise ZeroDivisionError
            super().send(event)

    queue, sink = MemoryQueue(wait_seconds=0.05), BrokenSink()
    for key in ("breaks.jpg", "good.jpg"):
        queue.send(notification(key))

    with pump(queue, sink, receivers=1) as running:
        until(lambda: running.tally["postponed"] and len(queue) == 1)
        assert running.alive

    assert subjects(sink) == {"good.jpg"}
    assert "ZeroDivisionError" in caplog.text


def test_a_receiver_that_breaks_is_noticed(sink, monkeypatch):
    class BrokenQueue(MemoryQueue):
        def receive(self):
            raise ZeroDivisionError

    told = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: told.set())

    with pump(BrokenQueue(), sink, receivers=1) as running:
        until(lambda: not running.alive)

    assert told.is_set()
