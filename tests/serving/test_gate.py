import threading

import pytest

from rookery.errors import Overloaded
from rookery.serving.gate import Gate, images_at_once


def enter(gate, number):
    """Admit *number* requests that stay inside; return what lets them out."""
    leave, inside = threading.Event(), threading.Barrier(number + 1)

    def stay():
        with gate.admit():
            inside.wait(30)
            leave.wait(30)

    threads = [threading.Thread(target=stay) for _ in range(number)]
    for thread in threads:
        thread.start()
    inside.wait(30)

    def let_out():
        leave.set()
        for thread in threads:
            thread.join()

    return let_out


@pytest.mark.parametrize(("concurrency", "queue"), [(1, 0), (1, 3), (4, 0), (2, 8)])
def test_as_many_are_admitted_as_may_work_or_wait_and_one_more_is_not(concurrency, queue):
    gate = Gate(concurrency=concurrency, queue=queue)
    let_out = enter(gate, concurrency + queue)
    with pytest.raises(Overloaded, match=str(concurrency + queue)), gate.admit():
        pytest.fail("admitted")
    let_out()
    assert gate.inside == 0


def test_who_leaves_makes_room():
    gate = Gate(concurrency=1, queue=0)
    for _ in range(3):
        with gate.admit():
            assert gate.inside == 1


def test_who_fails_leaves_too():
    gate = Gate(concurrency=1, queue=0)
    with pytest.raises(KeyError), gate.admit():
        raise KeyError
    with gate.admit():
        assert gate.inside == 1


def test_who_was_refused_did_not_take_a_place():
    gate = Gate(concurrency=1, queue=0)
    with gate.admit(), pytest.raises(Overloaded), gate.admit():
        pytest.fail("admitted")
    assert gate.inside == 0


def test_no_more_take_turns_at_once_than_may():
    gate = Gate(concurrency=2, queue=20)
    lock = threading.Lock()
    pair = threading.Barrier(2)
    working, most = 0, 0

    def work():
        nonlocal working, most
        with gate.turn():
            with lock:
                working += 1
                most = max(most, working)
            pair.wait(30)  # passes only two at a time: fewer would never get here
            with lock:
                working -= 1

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_the_answer_says_when_to_come_back_and_what_to_change():
    gate = Gate(concurrency=1, queue=0)
    with gate.admit(), pytest.raises(Overloaded, match="ROOKERY_QUEUE") as raised, gate.admit():
        pytest.fail("admitted")
    assert raised.value.retry_after > 0


@pytest.mark.parametrize(
    ("cpus", "threads", "performance", "images"),
    [
        (1, None, "latency", 1),
        (2, None, "latency", 2),
        (4, None, "latency", 2),
        (8, None, "latency", 2),
        (8, 4, "latency", 3),
        (8, 1, "latency", 8),
        (2, 1, "latency", 2),
        (2, 16, "latency", 1),
        (1, None, "throughput", 1),
        (8, None, "throughput", 8),
    ],
)
def test_as_many_images_at_once_as_keep_the_cpus_busy(cpus, threads, performance, images):
    assert images_at_once(cpus, threads, performance) == images
