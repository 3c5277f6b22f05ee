import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rookery.errors import ImageUndecodable
from rookery.events.dedup import DedupWindow
from rookery.events.wire import CloudEvent

DEADLINE = 30


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Work:
    """A computation that counts its runs, and can be held until it is released."""

    def __init__(self, *, held=False, error=None):
        self.runs = 0
        self.started = threading.Event()
        self.released = threading.Event()
        self.error = error
        if not held:
            self.released.set()

    def __call__(self):
        self.runs += 1
        run = self.runs
        self.started.set()
        assert self.released.wait(DEADLINE)
        if self.error is not None:
            raise self.error
        return CloudEvent(id=str(run), source="/s", type="t")


class Stopped(BaseException):
    """What stops a thread from outside, as KeyboardInterrupt does."""


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def window(clock):
    return DedupWindow(60, 3, clock)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as threads:
        yield threads


def waiting(window, key, count):
    """Block until *count* callers wait for the computation of *key* that is in flight."""
    condition = window._flights._in_flight[key]._condition
    poll = threading.Event()
    for _ in range(DEADLINE * 1000):
        with condition:
            if len(condition._waiters) == count:
                return
        poll.wait(0.001)
    pytest.fail(f"{count} callers did not come to wait")


# --- memory


def test_a_first_call_computes(window):
    result, repeat = window.run("k", Work())
    assert (result.id, repeat) == ("1", False)


def test_a_repeat_is_answered_from_memory(window):
    work = Work()
    first, _ = window.run("k", work)
    assert window.run("k", work) == (first, True)
    assert work.runs == 1


def test_another_key_is_computed(window):
    work = Work()
    window.run("k", work)
    assert window.run("l", work)[1] is False


def test_a_result_is_remembered_until_its_time_is_over(window, clock):
    work = Work()
    window.run("k", work)
    clock.now += 59.9
    assert window.run("k", work)[1] is True
    clock.now += 0.1
    assert window.run("k", work)[1] is False


def test_asking_does_not_make_a_result_last_longer(window, clock):
    work = Work()
    window.run("k", work)
    clock.now += 40
    window.run("k", work)
    clock.now += 40
    assert window.run("k", work)[1] is False


def test_the_least_recently_asked_for_goes_first(window):
    work = Work()
    for key in ("a", "b", "c", "a", "d"):
        window.run(key, work)
    assert [window.run(key, work)[1] for key in ("a", "c", "d", "b")] == [True, True, True, False]


def test_without_a_time_to_live_nothing_is_remembered(clock):
    window, work = DedupWindow(0, 3, clock), Work()
    window.run("k", work)
    assert window.run("k", work)[1] is False


def test_a_failure_is_raised_and_not_remembered(window):
    broken = Work(error=ImageUndecodable("broken"))
    with pytest.raises(ImageUndecodable):
        window.run("k", broken)
    assert window.run("k", Work())[1] is False


# --- many threads


def test_equals_in_flight_share_one_computation(window, pool):
    work = Work(held=True)
    first = pool.submit(window.run, "k", work)
    assert work.started.wait(DEADLINE)
    others = [pool.submit(window.run, "k", work) for _ in range(8)]
    waiting(window, "k", 8)
    work.released.set()
    result, repeat = first.result(DEADLINE)
    assert (work.runs, repeat) == (1, False)
    assert [other.result(DEADLINE) for other in others] == [(result, True)] * 8


def test_equals_in_flight_share_a_failure(window, pool):
    work = Work(held=True, error=ImageUndecodable("broken"))
    calls = [pool.submit(window.run, "k", work)]
    assert work.started.wait(DEADLINE)
    calls += [pool.submit(window.run, "k", work) for _ in range(4)]
    waiting(window, "k", 4)
    work.released.set()
    assert [call.exception(DEADLINE) for call in calls] == [work.error] * 5
    assert work.runs == 1


def test_equals_in_flight_share_even_where_nothing_is_remembered(clock, pool):
    window, work = DedupWindow(0, 3, clock), Work(held=True)
    first = pool.submit(window.run, "k", work)
    assert work.started.wait(DEADLINE)
    second = pool.submit(window.run, "k", work)
    waiting(window, "k", 1)
    work.released.set()
    assert (first.result(DEADLINE)[0], True) == second.result(DEADLINE)


def test_other_keys_do_not_wait(window, pool):
    held = Work(held=True)
    slow = pool.submit(window.run, "slow", held)
    assert held.started.wait(DEADLINE)
    assert window.run("quick", Work())[1] is False
    held.released.set()
    slow.result(DEADLINE)


def test_when_a_thread_is_stopped_one_that_waits_takes_over(window, pool):
    stopped, work = Work(held=True, error=Stopped()), Work()
    first = pool.submit(window.run, "k", stopped)
    assert stopped.started.wait(DEADLINE)
    others = [pool.submit(window.run, "k", work) for _ in range(4)]
    waiting(window, "k", 4)
    stopped.released.set()
    assert isinstance(first.exception(DEADLINE), Stopped)
    assert sorted(other.result(DEADLINE)[1] for other in others) == [False, True, True, True]
    assert work.runs == 1


def test_a_storm_computes_every_key_once(clock, pool):
    window = DedupWindow(60, 1000, clock)
    works = {str(key): Work() for key in range(50)}
    together = threading.Barrier(16)

    def storm(offset):
        together.wait(DEADLINE)
        for step in range(200):
            key = str((step * 7 + offset) % 50)
            window.run(key, works[key])

    for call in [pool.submit(storm, offset) for offset in range(16)]:
        call.result(DEADLINE)
    assert {work.runs for work in works.values()} == {1}
