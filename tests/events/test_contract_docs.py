"""The examples in the contract and in the guide are what they say they are."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from rookery.events.result import COMPLETED, DEADLETTER, FAILED
from rookery.events.wire import CloudEvent, to_binary

ROOT = Path(__file__).parents[2]
TYPES = (ROOT / "events" / "types.md").read_text()
GUIDE = (ROOT / "docs" / "events.md").read_text()


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(
    ("example", "event_type"),
    list(zip(blocks(TYPES, "json"), [COMPLETED, FAILED, DEADLETTER], strict=True)),
)
def test_an_example_of_data_keeps_to_its_schema(contract, example, event_type):
    name = event_type.removeprefix("dev.rookery.")
    schema = json.loads((contract / "schemas" / f"{name}.json").read_text())
    Draft202012Validator(schema).validate(json.loads(example))


def test_the_consumer_in_the_guide_prints_the_result(capsys):
    (code,) = blocks(GUIDE, "python")
    names = {}
    exec(code, names)
    event = CloudEvent(id="1", source="/s", type=COMPLETED, data=blocks(TYPES, "json")[0].encode())
    names["handle"](*to_binary(event))
    assert capsys.readouterr().out == "1 grace_hopper.jpg military uniform\n"


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https:)([^)#]+)", TYPES))
def test_the_links_of_the_contract_lead_somewhere(link):
    assert (ROOT / "events" / link).exists()


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https:)([^)#]+)", GUIDE))
def test_the_links_of_the_guide_lead_somewhere(link):
    assert (ROOT / "docs" / link).exists()
