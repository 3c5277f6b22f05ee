import json

import pytest

from rookery.events.broker import client
from rookery.events.broker.client import Letter
from rookery.local import letters


def letter(id_="t/1", died="2026-01-31T12:00:00.000Z", **fields):
    event = {"id": "7", "source": "/s", "type": "test.happened", "subject": "a.jpg"}
    return Letter(
        **{
            "id": id_,
            "trigger": "t",
            "offset": 1,
            "code": 422,
            "reason": "answered 422: ImageEmpty: no bytes (1 attempt)",
            "answer": "",
            "attempts": 1,
            "received": died,
            "died": died,
            "event": event,
            "original": event,
            "problem": None,
            **fields,
        }
    )


def test_a_line_says_what_died_of_what():
    line = letters.line_of(letter())
    assert "a.jpg" in line
    assert "dead letter t/1: answered 422: ImageEmpty: no bytes" in line


HOSTILE = "\x1b[2J\x9b2J\u009d\x7f\n"


@pytest.mark.parametrize(
    "write", [letters.line_of, letters.text_of, lambda one: letters.table_of([one])]
)
def test_what_a_stranger_wrote_does_not_steer_the_terminal(write):
    event = {"type": HOSTILE, "subject": HOSTILE, "data": {HOSTILE: HOSTILE}}
    text = write(letter(reason=HOSTILE, answer=HOSTILE, event=event, original=event))
    text = text.replace("\x1b[31m", "").replace("\x1b[0m", "")  # our own colors
    assert not set(text) & set("\x1b\x7f\x9b\x9d")


def test_the_event_that_is_shown_is_still_json():
    text = letters.text_of(letter(original={"data": HOSTILE}))
    assert json.loads(text.partition("event\n")[2]) == {"data": HOSTILE}


@pytest.mark.parametrize("original", [None, {"id": "8"}])
def test_a_letter_without_a_subject_is_shown(original):
    assert "-" in letters.table_of([letter(original=original, event={})])


def test_a_long_reason_is_cut_in_the_table_and_nowhere_else():
    one = letter(reason="x" * 500)
    assert "x" * 101 not in letters.table_of([one])
    assert "x" * 500 in letters.text_of(one)


@pytest.fixture
def told(monkeypatch):
    """What the broker answers, question after question; and `asked`, what it was asked."""
    asked, answers = [], []

    def answer(_, **wanted):
        asked.append(wanted)
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return iter(found)

    monkeypatch.setattr(letters, "dead_letters", answer)
    return asked, answers


def followed(answers):
    return [each.id for each in letters.follow("http://b", stop=lambda: not answers, pause=0.0)]


def test_what_was_told_is_not_told_again(told):
    _, answers = told
    answers += [[letter("t/1")], [letter("t/1"), letter("t/2")], [letter("t/2")]]
    assert followed(answers) == ["t/1", "t/2"]


def test_what_dies_again_is_told_again(told):
    _, answers = told
    again = letter("t/1", "2026-01-31T12:00:09.000Z")
    answers += [[], [letter("t/1")], [letter("t/1"), again], [again]]
    assert followed(answers) == ["t/1", "t/1"]


def test_only_what_is_new_is_asked_for(told):
    asked, answers = told
    died = "2999-01-31T12:00:00.000Z"
    answers += [[letter("t/1", died)], [letter("t/1", died)], []]
    followed(answers)
    assert [each["since"] < died for each in asked] == [True, False, False]
    assert [each["since"] for each in asked[1:]] == [died] * 2


def test_dead_letter_events_are_left_out(told):
    _, answers = told
    answers += [[], [letter("1", trigger=None)]]
    assert followed(answers) == []


def test_a_broker_that_is_away_is_asked_again(told):
    _, answers = told
    answers += [client.SinkUnavailable("down"), [], client.SinkUnavailable("down"), [letter()]]
    assert followed(answers) == ["t/1"]
