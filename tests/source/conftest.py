"""What the tests of the sources share: recorded notifications, receivers and sinks."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from journal_servers import Subscriber, poll, serving
from rookery.source.receiver import Target, open_receiver

SAMPLES = Path(__file__).parents[2] / "events" / "samples"
CEPH = json.loads((SAMPLES / "ceph-rgw" / "notification-16.json").read_text())["body"]


@pytest.fixture
def subscribe():
    """Start sinks: subscribe(answer), where an answer is a status or (status, headers, body)."""
    with ExitStack() as stack:

        def start(answer=202, port=0) -> Subscriber:
            said = answer if callable(answer) else lambda _: answer
            subscriber = Subscriber(said, port)
            stack.callback(subscriber.close)
            return subscriber

        yield start


@pytest.fixture
def receive(tmp_path):
    """Start receivers on one journal: receive(sink URL)."""
    with ExitStack() as stack:

        def start(url, *, target=None, **options):
            opened = open_receiver(tmp_path / "r.db", Target(url, **(target or {})), **options)
            return stack.enter_context(serving(opened))

        yield start


@pytest.fixture(scope="session")
def notification():
    """Make what Ceph 16 sends: notification(key, request="R1", **record fields)."""
    return _notification


def _notification(key="photo.jpg", request="R1", **fields) -> bytes:
    document = json.loads(json.dumps(CEPH))
    (record,) = document["Records"]
    record["s3"]["object"]["key"] = key
    record["responseElements"]["x-amz-request-id"] = request
    record.update(fields)
    return json.dumps(document).encode()


@pytest.fixture(scope="session", name="poll")
def _poll():
    """Look until it is good: poll(look, good)."""
    return poll
