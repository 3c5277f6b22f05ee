"""What docs/broker.md says is what the broker does."""

import re
from pathlib import Path

import pytest

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
