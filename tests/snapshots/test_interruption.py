import os
import signal
from contextlib import contextmanager

import pytest

from rookery.errors import SnapshotFailed
from rookery.snapshots.interruption import Bounded, Stopped


@pytest.fixture(autouse=True)
def _handlers():
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def hung_up():
    """The signals that our own handler of SIGHUP was called with."""
    received = []
    before = signal.signal(signal.SIGHUP, lambda number, _: received.append(number))
    yield received
    signal.signal(signal.SIGHUP, before)


def refuse(number):
    pytest.fail(f"{number} was not expected")


def end(_):
    raise Stopped


@contextmanager
def heeding(bounded):
    with bounded:
        bounded.heed()
        yield


def test_a_signal_ends_what_is_bounded(hung_up):
    bounded = Bounded(end, seconds=60)
    with pytest.raises(Stopped), heeding(bounded):
        os.kill(os.getpid(), signal.SIGHUP)
    bounded.undo()
    assert hung_up == []


def test_another_signal_changes_nothing_while_what_was_stopped_ends(hung_up):
    bounded = Bounded(end, seconds=60)
    with pytest.raises(Stopped), heeding(bounded):
        os.kill(os.getpid(), signal.SIGTERM)
    bounded.undo()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGHUP)
    assert hung_up == []


def test_a_signal_while_something_is_started_comes_when_it_has_been():
    bounded = Bounded(end, seconds=60)
    with bounded:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            bounded.heed()
    bounded.undo()


def test_a_signal_while_a_failed_attempt_is_cleaned_up_comes_afterwards(hung_up):
    bounded = Bounded(refuse, seconds=60)
    with bounded:
        bounded.heed()
        bounded.hold()
        os.kill(os.getpid(), signal.SIGHUP)
    assert hung_up == []
    bounded.undo()
    assert hung_up == [signal.SIGHUP]


def test_what_takes_too_long_fails():
    bounded = Bounded(refuse, seconds=60)
    with pytest.raises(SnapshotFailed, match="not awake after 60 s"), heeding(bounded):
        os.kill(os.getpid(), signal.SIGALRM)
    bounded.undo()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGALRM])
@pytest.mark.parametrize("second", [signal.SIGHUP, signal.SIGALRM])
def test_what_was_interrupted_once_is_not_interrupted_again(hung_up, first, second):
    bounded = Bounded(end, seconds=60)
    torn = []

    def interrupted_twice():
        try:
            os.kill(os.getpid(), first)
        except (Stopped, SnapshotFailed):
            torn.append(True)
            os.kill(os.getpid(), second)
            torn.clear()
            raise

    with pytest.raises((Stopped, SnapshotFailed)), heeding(bounded):
        interrupted_twice()
    assert not torn
    bounded.undo()
    # Where it is to go on after a failure, the signal comes then.
    assert hung_up == [signal.SIGHUP] * (first == signal.SIGALRM and second == signal.SIGHUP)
