import threading
from contextlib import contextmanager

import pytest

from rookery.errors import ModelLoading, ModelNotFound
from rookery.serving.startup import Startup


class Opening:
    """A service that opens when it is let, and counts how often."""

    def __init__(self, *, error=None, at_once=True):
        self.opened = 0
        self.left = 0
        self.let = threading.Event()
        self.error = error
        if at_once:
            self.let.set()

    @contextmanager
    def __call__(self):
        self.opened += 1
        assert self.let.wait(30)
        if self.error is not None:
            raise self.error
        yield "the service"
        self.left += 1


def test_nothing_happens_before_it_is_asked_for():
    opening = Opening()
    startup = Startup(opening, wait_seconds=30)
    assert (startup.state, opening.opened) == ("cold", 0)


def test_many_first_requests_share_one_loading():
    opening = Opening(at_once=False)
    startup = Startup(opening, wait_seconds=30)
    answers = []
    ready = threading.Barrier(9)

    def ask():
        ready.wait(30)
        answers.append(startup.service())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    ready.wait(30)
    opening.let.set()
    for thread in threads:
        thread.join()
    assert answers == ["the service"] * 8
    assert opening.opened == 1


def test_asking_again_does_not_load_again():
    opening = Opening()
    startup = Startup(opening, wait_seconds=30)
    for _ in range(3):
        startup.begin()
        startup.service()
    assert opening.opened == 1


def test_the_wait_is_bounded_and_worth_a_retry():
    opening = Opening(at_once=False)
    startup = Startup(opening, wait_seconds=0.01)
    with pytest.raises(ModelLoading, match="still loading") as raised:
        startup.service()
    assert raised.value.retry_after > 0
    assert startup.state == "loading"
    opening.let.set()
    startup.wait()
    assert startup.service() == "the service"


def test_a_failure_is_told_to_everyone_who_asks():
    startup = Startup(Opening(error=ModelNotFound("there is no model x")), wait_seconds=30)
    for _ in range(2):
        with pytest.raises(ModelNotFound, match="no model x"):
            startup.service()
    assert startup.state == "failed"
    assert isinstance(startup.error, ModelNotFound)


def test_a_failure_that_is_told_often_does_not_grow():
    startup = Startup(Opening(error=ModelNotFound("x")), wait_seconds=30)

    def depth():
        with pytest.raises(ModelNotFound) as raised:
            startup.service()
        return len(raised.traceback)

    assert depth() == depth() == depth()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_is_worth_a_retry_elsewhere():
    startup = Startup(Opening(error=RuntimeError("a bug")), wait_seconds=30)
    with pytest.raises(ModelLoading, match="failed to start"):
        startup.service()
    assert startup.state == "failed"
    for thread in threading.enumerate():
        if thread.name == "rookery-startup":
            thread.join()  # its excepthook prints the traceback, which belongs to this test


def test_closing_leaves_the_service_once():
    opening = Opening()
    startup = Startup(opening, wait_seconds=30)
    startup.service()
    startup.close()
    startup.close()
    assert opening.left == 1


def test_closing_what_never_started_is_nothing():
    opening = Opening()
    Startup(opening, wait_seconds=30).close()
    assert opening.opened == 0


def test_draining_ends_readiness_and_not_the_service():
    startup = Startup(Opening(), wait_seconds=30)
    startup.service()
    startup.drain()
    assert startup.state == "draining"
    assert startup.service() == "the service"


def test_a_service_that_opens_while_draining_is_not_called_ready():
    opening = Opening(at_once=False)
    startup = Startup(opening, wait_seconds=30)
    startup.begin()
    startup.drain()
    opening.let.set()
    startup.wait()
    assert startup.state == "draining"


def test_whoever_is_told_that_it_is_ready_finds_it_ready():
    told = []
    startup = Startup(
        Opening(), wait_seconds=30, on_ready=lambda seconds: told.append((startup.state, seconds))
    )
    startup.service()
    ((state, seconds),) = told
    assert state == "ready"
    assert seconds >= 0


def test_nobody_is_told_of_a_failure_as_of_a_start():
    told = []
    startup = Startup(
        Opening(error=ModelNotFound("no model")), wait_seconds=30, on_ready=told.append
    )
    with pytest.raises(ModelNotFound):
        startup.service()
    assert told == []
