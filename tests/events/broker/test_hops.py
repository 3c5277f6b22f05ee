import pytest

from rookery.events.broker import hops
from rookery.events.wire import CloudEvent


def made(id_, **fields):
    return CloudEvent(**{"id": id_, "source": "/test", "type": "test.happened", **fields})


def with_hops(value):
    return made("1", extensions={hops.EXTENSION: value, "tenant": "a"})


def left(event):
    return None if event is None else event.extensions[hops.EXTENSION]


@pytest.mark.parametrize(
    ("carried", "journalled"),
    [
        ("255", "254"),
        ("2", "1"),
        ("1", None),
        ("0", None),
        ("-5", None),
        ("x", "255"),
        ("999", "254"),
    ],
)
def test_an_event_enters_with_one_hop_less(carried, journalled):
    assert left(hops.enter(with_hops(carried))) == journalled


def test_an_event_without_a_limit_gets_the_first():
    assert left(hops.enter(made("1"))) == "255"


def test_subscribers_see_no_limit():
    assert hops.leave(with_hops("9")).extensions == {"tenant": "a"}


@pytest.mark.parametrize(("cause", "reply"), [("255", "254"), ("2", "1"), ("1", None)])
def test_a_reply_goes_on_counting_where_its_cause_was(cause, reply):
    assert left(hops.enter_reply(with_hops("200"), with_hops(cause))) == reply
