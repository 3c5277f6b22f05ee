import threading
from datetime import UTC, datetime

import pytest

from rookery.events.identity import object_identity
from rookery.events.object_created import ObjectCreated, from_event
from rookery.reconcile.emission import Announcing, Pacer
from rookery.storage.protocol import ListedObject

LISTED = ListedObject("a.jpg", "0" * 32, 5, datetime(2026, 1, 31, 12, tzinfo=UTC))


def test_with_a_version_the_event_is_about_that_version_as_its_notification_is():
    found = ListedObject(LISTED.key, LISTED.etag, LISTED.size, LISTED.modified, version="v7")
    event = Announcing("images", region="eu-north-1").event(found)
    (created,) = from_event(event)
    notified = ObjectCreated(
        "images", "a.jpg", "ObjectCreated:Copy", version="v7", etag=LISTED.etag,
        time="2026-01-31T12:00:00.123Z", request_id="R",
    )  # fmt: skip

    assert created.version == "v7"
    # A function's dedup window and a result's id follow from it.
    assert object_identity(created) == object_identity(notified)
    assert event.source == "rookery:reconcile.eu-north-1.images"


def test_the_events_say_what_they_are_told_to():
    event = Announcing("images", event_name="ObjectCreated:Copy").event(LISTED)
    assert event.type == "com.amazonaws.s3.ObjectCreated:Copy"
    assert from_event(event)[0].event_name == "ObjectCreated:Copy"


class RecordedWaits(threading.Event):
    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return False


def test_a_rate_spaces_events_evenly():
    stopping = RecordedWaits()
    pacer = Pacer(4, stopping, clock=lambda: 100.0)
    for _ in range(4):
        pacer.wait()
    assert stopping.waits == pytest.approx([0, 0.25, 0.5, 0.75])


def test_what_was_not_used_is_not_caught_up_with():
    times = iter([100.0, 200.0, 200.0])
    stopping = RecordedWaits()
    pacer = Pacer(1, stopping, clock=lambda: next(times))
    for _ in range(3):
        pacer.wait()
    assert stopping.waits == pytest.approx([0, 0, 1])


def test_without_a_rate_nobody_waits():
    stopping = RecordedWaits()
    Pacer(None, stopping).wait()
    assert stopping.waits == []
