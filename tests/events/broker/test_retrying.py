import pytest

from rookery.events.broker.backoff import Backoff
from rookery.events.broker.database import DEAD, DEAD_LETTERING, PENDING
from rookery.events.broker.outcome import Failed
from rookery.events.broker.reading import Item
from rookery.events.broker.retrying import after_failure

NOW = 1000.0
SINK = "http://sink/"


@pytest.fixture
def decide(trigger):
    def after(item, failed, *, state=PENDING, sink=None, retry=2):
        made_for = trigger("http://x/", retry=retry, dead_letter=sink, backoff=Backoff(delay=1.0))
        return after_failure(made_for, item, state, failed, NOW)

    return after


def test_a_failure_is_tried_again_after_the_backoff(decide):
    change = decide(Item(7, 1, NOW), Failed(503, "answered 503"))
    assert (change.state, change.attempts, change.next_at) == (PENDING, 2, NOW + 2.0)


def test_retry_after_is_honored(decide):
    change = decide(Item(7, 0, NOW), Failed(503, "answered 503", retry_after=9.0))
    assert change.next_at == NOW + 9.0


@pytest.mark.parametrize(
    ("sink", "state", "attempts"), [(None, DEAD, 3), (SINK, DEAD_LETTERING, 0)]
)
def test_after_the_last_retry_it_is_given_up(decide, sink, state, attempts):
    change = decide(Item(7, 2, NOW), Failed(503, "answered 503"), sink=sink)
    assert (change.state, change.attempts, change.next_at) == (state, attempts, NOW)
    assert change.reason == "answered 503 (3 attempts)"


@pytest.mark.parametrize(("sink", "state"), [(None, DEAD), (SINK, DEAD_LETTERING)])
def test_a_final_failure_is_given_up_at_once(decide, sink, state):
    change = decide(Item(7, 0, NOW), Failed(422, "answered 422", b"bad", retry=False), sink=sink)
    assert (change.state, change.code, change.answer) == (state, 422, b"bad")
    assert change.reason == "answered 422 (1 attempt)"


def test_no_retries_means_one_attempt(decide):
    assert decide(Item(7, 0, NOW), Failed(503, "answered 503"), retry=0).state == DEAD


@pytest.mark.parametrize(("attempts", "state"), [(0, DEAD_LETTERING), (2, DEAD)])
def test_the_sinks_failure_does_not_hide_the_subscribers(decide, attempts, state):
    item = Item(7, attempts, NOW, 422, "answered 422", b"bad")
    change = decide(item, Failed(500, "answered 500"), state=DEAD_LETTERING, sink=SINK)
    assert (change.state, change.code, change.answer) == (state, 422, b"bad")
    assert change.reason.startswith("answered 422")


def test_only_what_a_dead_letter_needs_of_the_answer_is_kept(decide):
    assert len(decide(Item(7, 0, NOW), Failed(503, "x", b"y" * 5000)).answer) == 768
