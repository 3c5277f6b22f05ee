import threading

import pytest

from rookery.serving.workers import Workers


class Work:
    """A task that runs until it is let go."""

    def __init__(self, going):
        self.begun, self.let_go, self._going = threading.Event(), threading.Event(), going

    def service(self):
        self._going.append(threading.current_thread().name)
        self.begun.set()
        self.let_go.wait(30)

    def cancel(self):
        self.let_go.set()


@pytest.fixture
def workers():
    made = Workers(3)
    yield made
    made.shutdown(timeout=5)


@pytest.fixture
def work():
    """Make tasks; all are let go at the end."""
    made, going = [], []

    def make():
        made.append(Work(going))
        return made[-1]

    make.going = going
    yield make
    for each in made:
        each.let_go.set()


def test_there_is_no_thread_before_there_is_work(workers):
    assert len(workers.threads) == 0


def test_each_task_that_finds_no_idle_thread_gets_a_new_one(workers, work):
    for _ in range(3):
        task = work()
        workers.add_task(task)
        assert task.begun.wait(30)
    assert len(set(work.going)) == 3


def test_an_idle_thread_is_used_again(workers, work, wait_until):
    for _ in range(3):
        task = work()
        workers.add_task(task)
        assert task.begun.wait(30)
        task.let_go.set()
        wait_until(lambda: workers.active_count == 0, "the thread to be idle")
    assert len(workers.threads) == 1


def test_there_are_never_more_threads_than_the_bound(workers, work):
    tasks = [work() for _ in range(5)]
    for task in tasks:
        workers.add_task(task)
    for task in tasks[:3]:
        assert task.begun.wait(30)
    assert (len(workers.threads), len(workers.queue)) == (3, 2)


def test_what_waits_is_run_when_a_thread_is_free(workers, work):
    tasks = [work() for _ in range(4)]
    for task in tasks:
        workers.add_task(task)
    tasks[0].let_go.set()
    assert tasks[3].begun.wait(30)


def test_after_the_end_no_thread_is_started(workers, work):
    workers.shutdown(timeout=5)
    workers.add_task(work())
    assert len(workers.threads) == 0
