import threading
import time

import pytest

from rookery.errors import JournalUnavailable
from rookery.events.broker import alarm as alarm_module
from rookery.events.broker.alarm import Alarm


class Bell:
    """Records what rings, and gives the times that follow."""

    def __init__(self, following=()):
        self.rung = []
        self.following = list(following)
        self.changed = threading.Condition()

    def ring(self, key, now):
        with self.changed:
            self.rung.append((key, now))
            self.changed.notify_all()
            following = self.following.pop(0) if self.following else None
        if isinstance(following, Exception):
            raise following
        return following

    def wait(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.rung) >= count, 10)
            return [key for key, _ in self.rung]


@pytest.fixture
def start():
    alarms = []

    def make(bell):
        alarms.append(Alarm(time.monotonic, bell.ring))
        return alarms[-1]

    yield make
    for alarm in alarms:
        alarm.stop()


def test_rings_when_the_time_has_come(start):
    bell = Bell()
    at = time.monotonic() + 0.05
    start(bell).set("a", at)
    bell.wait(1)
    assert bell.rung[0][1] >= at


def test_an_earlier_time_wins(start):
    bell = Bell()
    alarm = start(bell)
    alarm.set("a", time.monotonic() + 3600)
    alarm.set("a", time.monotonic())
    alarm.set("a", time.monotonic() + 3600)
    assert bell.wait(1) == ["a"]


def test_rings_for_each_key(start):
    bell = Bell()
    alarm = start(bell)
    alarm.set("late", time.monotonic() + 3600)
    alarm.set("early", time.monotonic() + 0.02)
    assert bell.wait(1) == ["early"]
    alarm.set("late", time.monotonic() + 0.02)
    assert bell.wait(2) == ["early", "late"]


def test_rings_again_at_the_time_that_follows(start):
    bell = Bell([0.0, 0.0])
    start(bell).set("a", 0.0)
    assert bell.wait(3) == ["a", "a", "a"]


@pytest.mark.parametrize("error", [JournalUnavailable("no", retry_after=0.01), KeyError("a bug")])
def test_rings_again_after_a_failure(start, monkeypatch, error):
    monkeypatch.setattr(alarm_module, "_PAUSE", 0.01)
    bell = Bell([error])
    start(bell).set("a", 0.0)
    assert bell.wait(2) == ["a", "a"]


def test_stops_while_a_time_is_set(start):
    alarm = start(Bell())
    alarm.set("a", time.monotonic() + 3600)
    alarm.stop()
    assert not alarm.alive
