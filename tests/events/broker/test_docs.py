"""What docs/broker.md says is what the broker does."""

import re
from pathlib import Path

import pytest

from rookery.cli.deadletters import command
from rookery.events.broker.trigger import Delivery, Trigger, parse_triggers

PAGE = (Path(__file__).parents[3] / "docs" / "broker.md").read_text()


def test_the_trigger_can_be_used_and_shows_the_defaults():
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (trigger,) = parse_triggers(example)
    assert trigger == Trigger(
        name="classify",
        subscriber="http://127.0.0.1:8080/",
        filter=trigger.filter,
        delivery=Delivery(dead_letter="http://127.0.0.1:8090/"),
        concurrency=2,
    )


@pytest.mark.parametrize(
    ("type_", "subject", "passes"),
    [
        ("com.amazonaws.ObjectCreated:Put", "a.jpg", True),
        ("com.amazonaws.s3:ObjectCreated:Post", "a.jpg", True),
        ("com.amazonaws.ObjectCreated:Put", "a.txt", False),
        ("dev.rookery.inference.completed.v1", "a.jpg", False),
    ],
)
def test_the_filter_does_what_it_is_shown_for(type_, subject, passes):
    (trigger,) = parse_triggers(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    assert trigger.filter.matches({"type": type_, "subject": subject}) == passes


def test_every_metric_is_listed(serve, trigger):
    broker = serve(trigger("http://127.0.0.1:9/"))
    text = broker.send("GET", "/metrics").data.decode()
    exposed = {
        name for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE) if "_created" not in name
    }
    assert exposed == set(re.findall(r"^\| `(rookery_broker_\w+)", PAGE, re.MULTILINE))


@pytest.mark.parametrize("path", re.findall(r"curl '[^/]+//[^/]+(/[^']+)'", PAGE))
def test_every_question_is_answered(serve, trigger, made, path):
    broker = serve(trigger("http://127.0.0.1:9/", "classify"))
    broker.post(made("1"))
    assert broker.send("GET", path.replace("wait=30", "wait=0.01")).status == 200


@pytest.mark.parametrize("path", re.findall(r"curl -X POST '[^/]+//[^/]+(/[^']+)'", PAGE))
def test_every_replay_is_made(serve, trigger, path):
    broker = serve(trigger("http://127.0.0.1:9/", "classify"))
    assert "queued" in broker.send("POST", path).json()


LETTERS = (Path(__file__).parents[3] / "docs" / "deadletters.md").read_text()


def test_the_page_of_dead_letters_names_every_field(serve, trigger, subscribe, made):
    broker = serve(trigger(subscribe(422).url))
    broker.post(made("1"))
    broker.until("t", lambda each: each["dead"] == 1)
    (letter,) = broker.lines("/deadletters")
    over_http = LETTERS.partition("## Over HTTP")[2]
    assert {name for name in letter if f"`{name}`" not in over_http} == set()


@pytest.mark.parametrize(
    ("method", "path"), re.findall(r"curl (?:-X (\w+) )?'[^/]+//[^/]+(/[^']+)'", LETTERS)
)
def test_every_request_about_dead_letters_is_answered(serve, trigger, method, path):
    broker = serve(trigger("http://127.0.0.1:9/", "classify"))
    assert broker.send(method or "GET", path).status == 200


@pytest.mark.parametrize("words", re.findall(r"^\| `(\w+) ([^`]*?)` \|", LETTERS, re.MULTILINE))
def test_every_command_about_dead_letters_exists(words):
    name, rest = words
    known = {option for each in command.commands[name].params for option in each.opts}
    assert set(re.findall(r"--[a-z-]+", rest)) <= known
