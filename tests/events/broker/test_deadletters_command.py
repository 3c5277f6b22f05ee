"""`rookery deadletters`, in this process, against a real broker."""

import json
import re

import pytest
from click.testing import CliRunner

from rookery.cli.deadletters import command
from rookery.cli.root import exit_code, root
from rookery.errors import EventInvalid, RequestInvalid, SinkUnavailable
from rookery.events.result import deadletter
from rookery.local.state import LocalState, claimed


@pytest.fixture
def run(broker):
    """Run `rookery deadletters NAME --url ... WORDS`."""

    def do(name, *words, **options):
        return CliRunner().invoke(command, [name, "--url", broker.url, *words], **options)

    return do


@pytest.fixture
def answers():
    return {"status": (400, {}, b'{"error":"EventInvalid","message":"no key \\u009b2J"}')}


@pytest.fixture
def broker(serve, subscribe, trigger, answers, made):
    """A broker with the dead letters one/1, two/1 and 2."""
    subscriber = subscribe(lambda _: answers["status"])
    running = serve(trigger(subscriber.url, "one"), trigger(subscriber.url, "two"))
    running.post(made("a", subject="a.jpg"))
    for name in ("one", "two"):
        running.until(name, lambda each: each["dead"] == 1)
    answers["status"] = 200
    letter = deadletter(
        EventInvalid("cut"),
        made("b", subject="b.jpg", data=b"1" * 40_000),
        source="/f",
        time="2026-01-31T12:00:00Z",
    )
    running.post(letter)
    for name in ("one", "two"):
        running.until_settled(name)
    return running


def ids(done):
    return [json.loads(line)["id"] for line in done.stdout.splitlines()]


# --- list


def test_lists_both_kinds_in_a_table(run):
    done = run("list")
    heading, *rows = [re.split(r"  +", line) for line in done.stdout.splitlines()]
    assert heading == ["ID", "DIED", "TYPE", "SUBJECT", "REASON"]
    assert [(row[0], *row[2:4]) for row in rows] == [
        ("one/1", "test.happened", "a.jpg"),
        ("two/1", "test.happened", "a.jpg"),
        ("2", "test.happened", "b.jpg"),
    ]
    assert rows[0][4] == "answered 400: EventInvalid: no key %C2%9B2J (1 attempt)"
    assert rows[2][4] == "EventInvalid: cut"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["one/1", "two/1", "2"]),
        (["--trigger", "two"], ["two/1"]),
        (["--type", "test."], ["one/1", "two/1", "2"]),
        (["--type", "other"], []),
        (["--subject", "b.jpg"], ["2"]),
        (["--reason", "answered"], ["one/1", "two/1"]),
        (["--since", "2020-01-01T00:00:00+00:00"], ["one/1", "two/1", "2"]),
        (["--since", "2999-01-01T00:00:00+00:00"], []),
    ],
)
def test_lists_what_is_wanted_as_json(run, words, expected):
    assert ids(run("list", "--json", *words)) == expected


def test_says_when_there_are_none(run):
    done = run("list", "--subject", "none")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no dead letters\n")


@pytest.mark.parametrize("words", [["--trigger", "three"], ["--since", "yesterday"]])
def test_a_question_that_is_refused_is_an_error(run, words):
    assert isinstance(run("list", *words).exception, RequestInvalid)


# --- show


def test_shows_everything_about_a_delivery(run):
    text = run("show", "one/1").stdout
    for line in (
        r"id +one/1",
        r"trigger +one",
        r"reason +answered 400: EventInvalid: no key",
        r"status +400",
        r"attempts +1",
        r"received +\d{4}-\d\d-\d\dT",
        r"died +\d{4}-\d\d-\d\dT",
        r'answer +\{"error":"EventInvalid"',
        r"retry +can be",
        r'"subject": "a.jpg"',
    ):
        assert re.search(rf"^ *{line}", text, re.MULTILINE), line
    assert "\x9b" not in text


def test_shows_what_a_dead_letter_event_keeps_and_that_it_cannot_be_retried(run):
    text = run("show", "2").stdout
    assert re.search(r"^retry +cannot be: the data .* is cut$", text, re.MULTILINE)
    assert '"id": "b"' in text
    assert "inference.deadletter.v1" in text


def test_shows_several_as_json(run):
    assert ids(run("show", "--json", "2", "one/1")) == ["2", "one/1"]


@pytest.mark.parametrize("name", ["one/2", "3", "1", "three/1", "one/", "x"])
def test_what_is_no_dead_letter_cannot_be_shown(run, name):
    error = run("show", name).exception
    assert isinstance(error, RequestInvalid)
    assert exit_code(error) == 65


# --- retry and drop


@pytest.mark.parametrize(
    ("name", "words", "typed", "said", "status", "left"),
    [
        ("retry", ["one/1"], None, "1 queued again", 0, ["two/1", "2"]),
        ("retry", ["one/1", "two/1"], None, "2 queued again", 0, ["2"]),
        ("retry", ["2"], None, "0 queued again", 1, ["one/1", "two/1", "2"]),
        ("retry", ["one/1", "one/9"], None, "1 queued again", 1, ["two/1", "2"]),
        ("retry", ["--all", "--trigger", "one"], None, "1 queued again", 0, ["two/1", "2"]),
        ("retry", ["--all", "--yes"], None, "2 queued again", 1, ["2"]),
        ("retry", ["--all"], "y\n", "2 queued again", 1, ["2"]),
        ("retry", ["--all"], "n\n", "", 1, ["one/1", "two/1", "2"]),
        ("retry", ["--all"], "", "", 1, ["one/1", "two/1", "2"]),
        ("drop", ["2"], None, "1 dropped", 0, ["one/1", "two/1"]),
        ("drop", ["2", "two/1"], None, "2 dropped", 0, ["one/1"]),
        ("drop", ["3"], None, "0 dropped", 1, ["one/1", "two/1", "2"]),
        ("drop", ["--all", "--yes"], None, "3 dropped", 0, []),
        ("drop", ["--all", "--subject", "a.jpg", "-y"], None, "2 dropped", 0, ["2"]),
        ("drop", ["--all", "--subject", "a.jpg"], "y\n", "2 dropped", 0, ["2"]),
        ("drop", ["--all", "--subject", "a.jpg"], "n\n", "", 1, ["one/1", "two/1", "2"]),
        ("drop", ["--all", "--subject", "none"], None, "0 dropped", 0, ["one/1", "two/1", "2"]),
    ],
)
def test_retries_and_drops_what_it_is_told_to(  # noqa: PLR0913
    *, run, broker, name, words, typed, said, status, left
):
    done = run(name, *words, input=typed)
    for trigger in ("one", "two"):
        broker.until_settled(trigger)
    assert (done.stdout.strip(), done.exit_code) == (said, status)
    assert ids(run("list", "--json")) == left


def test_says_of_each_why_it_was_not_done(run):
    done = run("retry", "2", "one/9")
    assert "2: it cannot be retried: the data" in done.stderr
    assert "one/9: there is no dead letter one/9" in done.stderr


def test_many_are_dropped(run, broker, answers, made):
    answers["status"] = 400
    for number in range(120):
        broker.post(made(str(number)))
    broker.until("one", lambda each: each["dead"] == 121)
    assert run("drop", "--all", "--trigger", "one", "--yes").stdout == "121 dropped\n"
    assert broker.trigger("one")["dead"] == 0


@pytest.mark.parametrize("name", ["retry", "drop"])
@pytest.mark.parametrize(
    "words", [[], ["--all", "one/1"], ["one/1", "--trigger", "one"], ["--subject", "a.jpg"]]
)
def test_what_is_not_clear_is_not_done(run, name, words):
    assert run(name, *words).exit_code == 2
    assert len(ids(run("list", "--json"))) == 3


def test_a_name_that_is_none_is_refused(run):
    assert isinstance(run("retry", "one/x").exception, RequestInvalid)


# --- which broker


def test_asks_the_broker_of_the_running_up(broker, tmp_path):
    with claimed(tmp_path) as announce:
        announce(LocalState(1, "images", "http://s", broker.url, {}))
        done = CliRunner().invoke(command, ["list", "--json"], env={"ROOKERY_HOME": str(tmp_path)})
    assert ids(done) == ["one/1", "two/1", "2"]


def test_asks_the_usual_address_where_nothing_is_up(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "rookery.cli.deadletters._found", lambda broker, _: asked.append(broker.url) or ()
    )
    CliRunner().invoke(command, ["list"], env={"ROOKERY_HOME": str(tmp_path)})
    assert asked == ["http://127.0.0.1:8081"]


def test_a_broker_that_does_not_answer_is_an_error(unused_url):
    error = CliRunner().invoke(command, ["list", "--url", unused_url]).exception
    assert isinstance(error, SinkUnavailable)
    assert exit_code(error) == 69


def test_what_is_no_broker_is_an_error(scripted_server):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}\n"
    done = CliRunner().invoke(command, ["list", "--url", scripted_server(answer).url])
    assert isinstance(done.exception, RequestInvalid)


def test_an_answer_that_breaks_off_is_an_error(scripted_server):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n"
    done = CliRunner().invoke(command, ["list", "--url", scripted_server(answer).url])
    assert isinstance(done.exception, SinkUnavailable)


@pytest.mark.parametrize("words", [["list"], ["show"], ["retry"], ["drop"]])
def test_every_command_explains_itself(words):
    done = CliRunner().invoke(root, ["deadletters", *words, "--help"])
    assert done.exit_code == 0
    assert "Examples:" in done.output
