import threading

import pytest

from rookery.delivery.retry import RetryPolicy
from rookery.errors import (
    DeliveryRejected,
    SinkDenied,
    SinkUnavailable,
    StorageDenied,
    StorageUnavailable,
)
from rookery.reconcile.patience import Patience, PatientListing
from rookery.storage.memory import MemoryStore

QUICK = RetryPolicy(attempts=4, base_seconds=0.001, cap_seconds=0.001)


@pytest.fixture
def stopping():
    return threading.Event()


def failing(*errors):
    """An action that raises *errors*, one after the other, and then returns how often it ran."""
    left = list(errors)

    def act():
        if left:
            raise left.pop(0)
        return "done"

    return act


@pytest.mark.parametrize("error", [StorageUnavailable("down"), SinkUnavailable("down")])
def test_what_passes_is_tried_again(stopping, error):
    patience = Patience("it", stopping, seconds=5, policy=QUICK)
    assert patience.call(failing(error, error)) == "done"


@pytest.mark.parametrize(
    "error", [StorageDenied("no"), SinkDenied("no"), DeliveryRejected("no"), ValueError()]
)
def test_what_waits_for_somebody_is_said_at_once(stopping, error):
    patience = Patience("it", stopping, seconds=5, policy=QUICK)
    with pytest.raises(type(error)):
        patience.call(failing(error))


def test_what_does_not_pass_in_time_is_the_last_failure(stopping):
    patience = Patience("it", stopping, seconds=5, policy=QUICK)
    with pytest.raises(StorageUnavailable, match="4"):
        patience.call(failing(*(StorageUnavailable(str(n)) for n in range(1, 10))))


def test_no_time_is_one_attempt(stopping):
    with pytest.raises(StorageUnavailable):
        Patience("it", stopping, seconds=0).call(failing(StorageUnavailable("down")))


def test_told_to_stop_it_waits_no_more(stopping):
    stopping.set()
    patient = RetryPolicy(attempts=9, base_seconds=3600, cap_seconds=3600, total_seconds=10**6)
    with pytest.raises(StorageUnavailable):
        Patience("it", stopping, seconds=5, policy=patient).call(failing(StorageUnavailable("x")))


def test_an_outage_is_two_log_lines(stopping, caplog):
    caplog.set_level("INFO", "rookery.link")
    Patience("the bucket", stopping, seconds=5, policy=QUICK).call(
        failing(*[StorageUnavailable("down")] * 3)
    )
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_listing_is_asked_again(stopping):
    store = MemoryStore("images")
    store.write("images", "a.jpg", b"1", content_type="image/jpeg")
    failures = [StorageUnavailable("down")] * 2

    class Shaky:
        def page(self, *arguments, **options):
            if failures:
                raise failures.pop()
            return store.page(*arguments, **options)

        find = store.find

    listing = PatientListing(Shaky(), Patience("it", stopping, seconds=5, policy=QUICK))
    assert [one.key for one in listing.page("images").objects] == ["a.jpg"]
    assert listing.find("images", "a.jpg").size == 1
