import logging
import threading

import pytest

from rookery.events.broker.backoff import Backoff
from rookery.events.broker.outcome import Delivered, Failed
from rookery.events.broker.patience import Pass, Patience

DOWN = Failed(503, "answered 503")
AT_ONCE = Backoff(delay=0.0)
NEVER = Backoff(delay=3600.0, maximum=3600.0)
EARLY = Pass(asking=False)  # begun before anybody knew of an outage


def patient(*outcomes, tolerance=2, pauses=NEVER):
    patience = Patience("the sink", tolerance, pauses)
    for outcome in outcomes:
        patience.note(outcome, EARLY)
    return patience


def passes(patience, *, seconds=20.0):
    """Whether an attempt may be made within so many *seconds*."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(patience.enter()))
    thread.start()
    thread.join(seconds)
    patience.stop()
    thread.join()
    return answers[0] is not None


def waits(patience):
    """Whether an attempt may not be made at once."""
    return not passes(patience, seconds=0.2)


@pytest.mark.parametrize(
    ("outcomes", "free"),
    [
        ((), True),
        ((DOWN,), True),
        ((DOWN, DOWN), False),
        ((DOWN, Delivered(), DOWN), True),
        ((DOWN, Failed(400, "answered 400", retry=False), DOWN), True),
        ((DOWN, DOWN, DOWN, Delivered()), True),
        ((Failed(500, "no answer"),) * 2, False),
    ],
)
def test_only_failures_in_a_row_count(outcomes, free):
    assert passes(patient(*outcomes)) if free else waits(patient(*outcomes))


def test_nothing_ever_waits_without_a_tolerance():
    assert passes(patient(*[DOWN] * 1000, tolerance=float("inf")))


def test_after_the_pause_one_asks_and_the_others_wait():
    patience = patient(DOWN, DOWN, pauses=AT_ONCE)
    assert patience.enter()
    assert waits(patience)


def test_the_next_asks_when_the_first_has_failed():
    patience = patient(DOWN, DOWN, pauses=AT_ONCE)
    patience.note(DOWN, patience.enter())
    assert passes(patience)


def test_a_late_failure_from_before_the_outage_lets_nobody_ask_beside_the_first():
    patience = patient(DOWN, pauses=AT_ONCE)
    early = patience.enter()
    patience.note(DOWN, EARLY)
    assert patience.enter()
    patience.note(DOWN, early)
    assert waits(patience)


def test_a_success_lets_everybody_pass():
    patience = patient(DOWN, DOWN, pauses=AT_ONCE)
    asking = patience.enter()
    waiting = [threading.Thread(target=patience.enter) for _ in range(4)]
    for thread in waiting:
        thread.start()
    patience.note(Delivered(), asking)
    for thread in waiting:
        thread.join(10)
    assert not any(thread.is_alive() for thread in waiting)


def test_what_the_subscriber_asks_for_is_waited():
    patience = patient(DOWN, Failed(503, "busy", retry_after=3600.0), pauses=AT_ONCE)
    assert waits(patience)


def test_stopping_ends_every_wait():
    patience = patient(DOWN, DOWN)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(patience.enter()))
    waiting.start()
    patience.stop()
    waiting.join(10)
    assert answers == [None]


def test_says_once_that_it_is_down_and_once_that_it_is_back(caplog):
    with caplog.at_level(logging.INFO):
        patient(*[DOWN] * 5, Delivered(), Delivered())
    assert [record.getMessage() for record in caplog.records] == [
        "the sink is down, asking again and again: answered 503",
        "the sink is back after 5 failures",
    ]
