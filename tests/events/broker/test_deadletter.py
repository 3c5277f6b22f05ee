import base64

import pytest

from rookery.events.broker.deadletter import dead_letter
from rookery.events.wire import CloudEvent


def made(id_, **fields):
    return CloudEvent(**{"id": id_, "source": "/test", "type": "test.happened", **fields})


def letter(data=b"why"):
    event = made("1", extensions={"tenant": "a"}, data=b"payload")
    return dead_letter(event, destination="http://x/in", code=422, data=data)


def test_names_destination_code_and_answer():
    assert letter().extensions == {
        "tenant": "a",
        "knativeerrordest": "http://x/in",
        "knativeerrorcode": "422",
        "knativeerrordata": base64.b64encode(b"why").decode(),
    }


def test_is_otherwise_the_event_itself():
    assert (letter().id, letter().type, letter().data) == ("1", "test.happened", b"payload")


@pytest.mark.parametrize("size", [767, 768, 769, 100_000])
def test_a_long_answer_is_cut_and_still_base64(size):
    data = letter(b"x" * size).extensions["knativeerrordata"]
    assert len(data) <= 1024
    assert base64.b64decode(data, validate=True) == b"x" * min(size, 768)
