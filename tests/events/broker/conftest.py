"""A real subscriber and a real broker, on free ports, for the tests of this folder."""

from contextlib import ExitStack

import pytest

from journal_servers import Running, Subscriber, poll, serving
from rookery.events.broker.service import open_broker
from rookery.events.broker.trigger import Delivery, Trigger
from rookery.events.wire import CloudEvent


@pytest.fixture
def serve(tmp_path):
    """Start brokers on one journal: serve(trigger, ...)."""
    with ExitStack() as stack:

        def start(*triggers: Trigger, **options: object) -> Running:
            opened = open_broker(tmp_path / "broker.db", triggers, **options)
            return stack.enter_context(serving(opened))

        yield start


@pytest.fixture
def subscribe():
    """Start subscribers: subscribe(answer).

    An answer is a status, or (status, headers, body), or a function from the event to one.
    """
    with ExitStack() as stack:

        def start(answer=200) -> Subscriber:
            subscriber = Subscriber(answer if callable(answer) else lambda _: answer)
            stack.callback(subscriber.close)
            return subscriber

        yield start


@pytest.fixture
def trigger():
    """Make a trigger that retries quickly: trigger(url, retry=..., ordered=...)."""

    def make(url: str, name: str = "t", **fields) -> Trigger:
        delivery = {
            key: fields.pop(key)
            for key in ("retry", "backoff", "timeout", "dead_letter", "structured")
            if key in fields
        }
        return Trigger(name=name, subscriber=url, delivery=Delivery(**delivery), **fields)

    return make


@pytest.fixture(scope="session", name="poll")
def _poll():
    """Look until it is good: poll(look, good)."""
    return poll


@pytest.fixture(scope="session")
def made():
    """Make an event: made(id, subject=...)."""
    return _made


@pytest.fixture(scope="session")
def numbered():
    """Make events with ids 0, 1, 2, ...: numbered(count)."""
    return lambda count, **fields: [_made(str(number), **fields) for number in range(count)]


def _made(id_: str, **fields: object) -> CloudEvent:
    return CloudEvent(**{"id": id_, "source": "/test", "type": "test.happened", **fields})
