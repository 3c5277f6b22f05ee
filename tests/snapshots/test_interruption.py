import os
import signal

import pytest

from rookery.errors import SnapshotFailed
from rookery.snapshots.interruption import Bounded, Stopped


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


def test_a_signal_ends_what_is_bounded(hung_up):
    bounded = Bounded(end, seconds=60)
    with pytest.raises(Stopped), bounded:
        os.kill(os.getpid(), signal.SIGHUP)
    bounded.undo()
    assert hung_up == []


def test_a_signal_while_a_failed_attempt_is_cleaned_up_comes_afterwards(hung_up):
    bounded = Bounded(refuse, seconds=60)
    with bounded:
        bounded.hold()
        os.kill(os.getpid(), signal.SIGHUP)
    assert hung_up == []
    bounded.undo()
    assert hung_up == [signal.SIGHUP]


def test_what_takes_too_long_fails():
    bounded = Bounded(refuse, seconds=60)
    with pytest.raises(SnapshotFailed, match="not awake after 60 s"), bounded:
        os.kill(os.getpid(), signal.SIGALRM)
    bounded.undo()
