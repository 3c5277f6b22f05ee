import json

import click
import pytest

from rookery.events.result import COMPLETED, DEADLETTER, FAILED
from rookery.events.wire import CloudEvent
from rookery.local.present import json_of, line_of

ANSWER = {
    "top_prediction": [["king penguin"]],
    "predictions": [
        {"label": "king penguin", "index": 0, "probability": 0.984},
        {"label": "macaw", "index": 1, "probability": 0.01},
    ],
    "timings": {"decode_ms": 1, "infer_ms": 2, "total_ms": 41.6},
}


def event(kind=COMPLETED, data=ANSWER, **attributes):
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    fields = {"id": "1", "source": "/f", "subject": "a b.jpg", "data": raw, **attributes}
    return CloudEvent(type=kind, datacontenttype="application/json", **fields)


def plain(one):
    return click.unstyle(line_of(one))


def test_a_result_is_its_object_its_best_class_and_its_time():
    assert plain(event()) == "✓ a b.jpg  king penguin 98%  42 ms"


@pytest.mark.parametrize("kind", [FAILED, DEADLETTER])
def test_a_failure_is_its_object_and_its_reason(kind):
    failure = event(kind, {"error": {"code": "ImageEmpty", "message": "there are no bytes"}})
    assert plain(failure) == "✗ a b.jpg  ImageEmpty: there are no bytes"


def test_without_a_subject_the_id_stands_for_it():
    assert plain(event(subject=None)).startswith("✓ 1 ")


@pytest.mark.parametrize(
    "kind", ["com.amazonaws.s3.ObjectCreated:Put", "dev.rookery.inference.completed.v2"]
)
def test_any_other_event_is_no_line(kind):
    assert line_of(event(kind, b"\xff\xd8 not even JSON")) is None


@pytest.mark.parametrize("kind", [COMPLETED, FAILED, DEADLETTER])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        [],
        {},
        {"predictions": [], "timings": [], "error": "x"},
        {"predictions": [7], "timings": {"total_ms": "x"}, "error": None},
        {"predictions": [{"label": 7, "probability": "much"}]},
        {"predictions": {"label": "x"}},
    ],
)
def test_a_strange_result_is_a_poor_line_and_no_crash(kind, data):
    assert "a b.jpg" in plain(event(kind, data))


@pytest.mark.parametrize(
    "one",
    [
        event(data={"predictions": [{"label": "\x1b[2Jgone", "probability": 1}]}),
        event(FAILED, {"error": {"code": "X", "message": "\x1b]0;title\x07 \x9b2J \r\n"}}),
    ],
)
def test_what_an_event_says_does_not_steer_the_terminal(one):
    assert plain(one).isprintable()


def test_an_event_as_json_is_a_structured_cloudevent():
    document = json.loads(json_of(event(subject="ä")))
    assert document["specversion"] == "1.0"
    assert document["subject"] == "ä"
    assert document["data"] == ANSWER


@pytest.mark.parametrize(("indent", "lines"), [(None, 1), (2, 20)])
def test_json_is_one_line_unless_it_is_to_be_read(indent, lines):
    assert len(json_of(event(), indent=indent).splitlines()) >= lines
    assert (len(json_of(event(), indent=indent).splitlines()) == 1) is (indent is None)
