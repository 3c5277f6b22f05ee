"""Deliveries written down behind the workers' backs."""

import threading
from contextlib import ExitStack

import pytest

from rookery.errors import JournalUnavailable
from rookery.events.broker import settling
from rookery.events.broker.changes import Settle
from rookery.events.broker.lane import Lane
from rookery.events.broker.metrics import Metrics
from rookery.events.broker.reading import Item
from rookery.events.broker.settling import Done, Settler


class Journal:
    """Notes what is made, once it is let, and fails as often as it is told."""

    def __init__(self):
        self.groups = []
        self.failures = 0
        self.bug = None
        self.let = threading.Event()
        self.asked = threading.Event()

    def make(self, *changes):
        self.asked.set()
        assert self.let.wait(15)
        if self.failures:
            self.failures -= 1
            raise JournalUnavailable("full")
        if self.bug is not None:
            bug, self.bug = self.bug, None
            raise bug
        self.groups.append([change.offset for change in changes])
        return len(changes)


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def settler(journal, metrics, monkeypatch):
    monkeypatch.setattr(settling, "_PAUSE", 0.01)
    with ExitStack() as stack:
        stopping = threading.Event()
        made = Settler(journal, metrics, stopping)
        stack.callback(made.stop, 15)
        stack.callback(journal.let.set)
        made.stopping = stopping
        yield made


@pytest.fixture
def done(metrics):
    """Take a delivery from a lane and make it done: done(offset)."""
    offsets = []
    lane = Lane(lambda _: [Item(offset, 0, 0.0) for offset in offsets])

    def make(offset):
        offsets.append(offset)
        lane.wake(1)
        item = lane.take()
        return Done(lane, item, Settle("t", item.offset), metrics.delivered.labels("t"))

    make.lane = lane
    return make


def delivered(metrics):
    text = metrics.text().decode()
    return 'rookery_broker_delivered_total{trigger="t"} ' in text and float(
        text.split('rookery_broker_delivered_total{trigger="t"} ')[1].split()[0]
    )


def test_what_comes_while_one_group_is_written_is_the_next_group(settler, journal, done):
    settler.settle(done(1))
    assert journal.asked.wait(15)
    for offset in (2, 3, 4):
        settler.settle(done(offset))
    journal.let.set()
    settler.stop(15)
    assert journal.groups == [[1], [2, 3, 4]]


def test_a_delivery_is_kept_until_it_is_written_and_counted_then(settler, journal, metrics, done):
    settler.settle(done(1))
    assert journal.asked.wait(15)
    assert (len(done.lane._taken), delivered(metrics)) == (1, 0)
    journal.let.set()
    settler.stop(15)
    assert (len(done.lane._taken), delivered(metrics)) == (0, 1)


def test_a_commit_that_fails_is_tried_again(settler, journal, metrics, done):
    journal.failures = 3
    journal.let.set()
    settler.settle(done(1))
    settler.stop(15)
    assert journal.groups == [[1]]
    assert delivered(metrics) == 1


def test_stopping_gives_up_what_cannot_be_written(settler, journal, metrics, done):
    journal.failures = 1_000_000
    journal.let.set()
    settler.stopping.set()
    settler.settle(done(1))
    settler.stop(15)
    assert not settler.alive
    assert journal.groups == []
    assert delivered(metrics) == 0


def test_a_bug_ends_no_settling(settler, journal, done, caplog):
    first, second = done(1), done(2)
    journal.bug = KeyError("a bug")
    journal.let.set()
    settler.settle(first)
    assert journal.asked.wait(15)
    settler.settle(second)
    settler.stop(15)
    assert journal.groups == [[2]]
    assert "Traceback" in caplog.text
