"""The tally of a soak tells every way in which an upload can be lost or doubled."""

import pytest

from tally import Stored, count

VERSION = ("photograph/1.jpg", "e1")
DAMAGED = ("damaged/2.jpg", "e2")


@pytest.mark.parametrize(
    ("version", "results", "dead_letters", "fate"),
    [
        pytest.param(VERSION, ["a"], 0, "result", id="a-photograph-with-its-result"),
        pytest.param(DAMAGED, [], 1, "dead letter", id="a-damaged-one-with-its-dead-letter"),
    ],
)
def test_one_outcome_of_the_right_kind_is_perfect(version, results, dead_letters, fate):
    tally = count(
        Stored({version: 1}), [(version, name) for name in results], [version] * dead_letters
    )

    assert tally.perfect
    assert tally.fates == {fate: 1}


@pytest.mark.parametrize(
    ("version", "results", "dead_letters", "fault"),
    [
        pytest.param(VERSION, [], 0, "nothing", id="lost"),
        pytest.param(VERSION, ["a"], 1, "contradictory", id="both"),
        pytest.param(VERSION, ["a", "b"], 0, "doubled", id="two-results-for-one-upload"),
        pytest.param(VERSION, [], 1, "unexpected", id="a-good-photograph-given-up"),
        pytest.param(DAMAGED, ["a"], 0, "unexpected", id="a-result-for-rubbish"),
    ],
)
def test_anything_else_is_named(version, results, dead_letters, fault):
    tally = count(
        Stored({version: 1}), [(version, name) for name in results], [version] * dead_letters
    )

    assert not tally.perfect
    assert version in getattr(tally, fault)


def test_an_event_delivered_twice_is_one_result():
    tally = count(Stored({VERSION: 1}), [(VERSION, "a"), (VERSION, "a")], [])

    assert tally.perfect


def test_an_upload_that_the_client_had_to_repeat_may_have_two_results():
    tally = count(Stored({VERSION: 2}), [(VERSION, "a"), (VERSION, "b")], [])

    assert tally.perfect


def test_what_was_replaced_or_deleted_may_be_a_dead_letter():
    tally = count(Stored({VERSION: 1}, gone={VERSION}), [], [VERSION])

    assert tally.perfect
