import json

import pytest
from click.testing import CliRunner

from rookery.cli.broker import command
from rookery.errors import RequestInvalid, TriggersInvalid


@pytest.fixture
def run():
    """Run `rookery broker ...` in this process."""

    def do(*words):
        return CliRunner().invoke(command, words, catch_exceptions=True)

    return do


def test_prints_events_one_a_line(serve, made, run):
    broker = serve()
    for id_ in ("1", "2"):
        broker.post(made(id_, type=f"t.{id_}"))
    done = run("events", "--url", broker.url)
    assert [json.loads(line)["event"]["id"] for line in done.output.splitlines()] == ["1", "2"]


@pytest.mark.parametrize(
    ("words", "ids"),
    [(["--after", "1"], ["2"]), (["--after", "now"], []), (["--type", "t.1"], ["1"])],
)
def test_prints_the_events_that_are_wanted(serve, made, run, words, ids):
    broker = serve()
    for id_ in ("1", "2"):
        broker.post(made(id_, type=f"t.{id_}"))
    done = run("events", "--url", broker.url, *words)
    assert [json.loads(line)["event"]["id"] for line in done.output.splitlines()] == ids


def test_refuses_an_offset_that_is_none(run):
    done = run("events", "--after", "yesterday")
    assert done.exit_code == 2
    assert 'must be an offset or "now"' in done.output


def test_replays(serve, subscribe, trigger, made, run):
    subscriber = subscribe()
    broker = serve(trigger(subscriber.url))
    broker.post(made("1"))
    subscriber.wait(1)
    broker.until_settled("t")
    assert run("replay", "t", "--url", broker.url, "--after", "0").output == "1 queued for t\n"


def test_says_why_a_replay_is_refused(serve, run):
    assert isinstance(
        run("replay", "nobody", "--url", serve().url, "--after", "0").exception, RequestInvalid
    )


@pytest.mark.parametrize("words", [[], ["--after", "1", "--dead-letters"]])
def test_a_replay_needs_exactly_one_choice(run, words):
    assert "exactly one of" in run("replay", "t", *words).output


def test_lists_the_triggers(serve, trigger, run):
    broker = serve(trigger("http://127.0.0.1:9/"))
    lines = run("triggers", "--url", broker.url).output.splitlines()
    assert [line.split() for line in lines] == [
        ["TRIGGER", "PENDING", "DEAD", "SUBSCRIBER"],
        ["t", "0", "0", "http://127.0.0.1:9/"],
    ]


def test_lists_the_triggers_as_json(serve, trigger, run):
    broker = serve(trigger("http://127.0.0.1:9/"))
    done = run("triggers", "--json", "--url", broker.url)
    assert json.loads(done.output)["triggers"][0]["name"] == "t"


def test_a_file_of_triggers_that_is_no_text_is_named(tmp_path, run):
    file = tmp_path / "triggers.yaml"
    file.write_bytes(b"\xff\xfe")
    done = run("serve", "--no-pin", "--triggers", str(file))
    assert isinstance(done.exception, TriggersInvalid)
    assert str(file) in str(done.exception)


def test_refuses_to_serve_triggers_that_are_wrong(tmp_path, run):
    (tmp_path / "t.yaml").write_text("kind: Triger")
    done = run("serve", "--triggers", str(tmp_path / "t.yaml"))
    assert isinstance(done.exception, TriggersInvalid)


@pytest.mark.parametrize("name", ["serve", "events", "replay", "triggers"])
def test_every_command_explains_itself(run, name):
    done = run(name, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.output
