import threading

import pytest

from rookery.errors import DeliveryRejected, ObjectGone, SinkUnavailable
from rookery.events.object_created import from_event
from rookery.reconcile.counts import Counts
from rookery.reconcile.run import Selection
from rookery.reconcile.scope import Shard
from rookery.storage.results import ResultsPlace


def test_what_has_no_result_is_announced_and_nothing_else(world):
    world.put("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    world.finish("a.jpg")
    world.finish("b.jpg", failed=True)
    end = world.run()

    assert world.announced == ["c.jpg", "d.jpg"]
    assert end.finished
    assert end.counts == Counts(listed=4, done=1, failed=1, missing=2, emitted=2)


def test_once_the_results_are_there_nothing_is_announced(world):
    world.put("a.jpg", "b.jpg")
    world.run()
    world.finish("a.jpg", "b.jpg")
    world.run()

    assert world.announced == ["a.jpg", "b.jpg"]


def test_an_event_says_what_a_notification_would(world):
    world.put("a b/é+%.jpg", data=b"12345")
    world.run()
    (event,) = world.sink.events
    (created,) = from_event(event)

    assert event.type == "com.amazonaws.s3.ObjectCreated:Put"
    assert event.source == "rookery:reconcile..images"
    assert (created.bucket, created.key, created.size) == ("images", "a b/é+%.jpg", 5)
    assert created.etag == world.store.find("images", "a b/é+%.jpg").etag
    assert created.time == "2026-01-31T12:00:00.000Z"
    assert created.version is None  # "1" is what stores without versions say


def test_a_second_run_sends_the_same_events_for_a_broker_to_absorb(world):
    world.put("a.jpg", "b.jpg")
    world.run()
    first = {event.id for event in world.sink.events}
    world.clock.pass_(hours=1)
    world.run()

    assert {event.id for event in world.sink.events} == first
    assert len(first) == 2


def test_another_upload_is_another_event(world):
    world.put("a.jpg")
    world.run()
    world.clock.pass_(seconds=5)
    world.put("a.jpg")
    world.run()

    assert len({event.id for event in world.sink.events}) == 2


PLACES = [ResultsPlace("kept", "results/"), None]


def test_failures_are_announced_on_demand(world):
    world.put("a.jpg", "b.jpg")
    world.finish("a.jpg", failed=True)
    world.finish("b.jpg")
    world.run(selection=Selection(failed=True), again="one")

    assert world.announced == ["a.jpg"]


@pytest.mark.parametrize("place", PLACES)
def test_everything_is_announced_on_demand(world, place):
    world.put("a.jpg", "b.jpg", "c.jpg")
    world.finish("a.jpg")
    world.finish("b.jpg", failed=True)
    world.run(selection=Selection(everything=True), place=place, again="one")

    assert world.announced == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize("place", PLACES)
def test_a_run_that_is_to_do_it_again_is_absorbed_with_itself_alone(world, place):
    world.put("a.jpg")
    everything = Selection(everything=True)
    world.run(selection=everything, place=place)
    for run in ("one", "two", "two"):
        world.run(selection=everything, place=place, again=run)
    ids = [event.id for event in world.sink.events]

    assert len(set(ids)) == 3
    assert ids[2] == ids[3]


# --- scope ---------------------------------------------------------------------------------


def test_what_is_too_young_is_left_for_its_notification(world):
    world.put("old.jpg")
    world.clock.pass_(minutes=10)
    until = world.clock.now
    world.clock.pass_(minutes=4)
    world.put("young.jpg")
    end = world.run(until=until)

    assert world.announced == ["old.jpg"]
    assert end.counts.skipped == 1


def test_what_is_too_old_is_left_alone(world):
    world.put("old.jpg")
    world.clock.pass_(minutes=10)
    since = world.clock.now
    world.put("new.jpg")
    world.run(since=since)

    assert world.announced == ["new.jpg"]


def test_only_keys_with_the_prefix_are_looked_at(world):
    world.put("a/1", "b/1", "b/2")
    end = world.run(prefix="b/")

    assert world.announced == ["b/1", "b/2"]
    assert end.counts.listed == 2


def test_shards_share_the_keys_out_among_them(world):
    keys = [f"{n:03}.jpg" for n in range(200)]
    world.put(*keys)
    parts = []
    for index in (1, 2, 3):
        before = len(world.sink.events)
        world.run(shard=Shard(index, 3))
        parts.append([event.subject for event in world.sink.events[before:]])

    assert sorted(key for part in parts for key in part) == keys
    assert all(len(part) > 40 for part in parts)


def test_results_in_the_bucket_of_the_images_are_no_images(world):
    world.put("a.jpg", "results/images/a.jpg/1.json")
    world.run(place=ResultsPlace("images", "results/"))

    assert world.announced == ["a.jpg"]


# --- pages and checkpoints -----------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_pages_of_any_size_lose_and_double_nothing(world, limit):
    keys = [f"{n:02}.jpg" for n in range(14)]
    world.put(*keys)
    world.finish(*keys[::2])
    world.listing.limit = limit
    end = world.run()

    assert world.announced == keys[1::2]
    assert end.counts.listed == 14


def test_an_empty_bucket_is_done_at_once(world):
    assert world.run().finished


def test_a_run_goes_on_from_any_of_its_checkpoints(world):
    keys = [f"{n:02}.jpg" for n in range(10)]
    world.put(*keys)
    world.listing.limit = 3
    whole = world.run()
    for checkpoint in list(world.passed[:-1]):
        before = len(world.sink.events)
        end = world.run(start=checkpoint)
        rest = {event.subject for event in world.sink.events[before:]}
        assert rest == {key for key in keys if key > checkpoint.after}
        assert end.counts == whole.counts


def test_without_an_emitter_what_is_missing_is_only_counted(world):
    world.put("a.jpg")
    end = world.run(dry=True)

    assert (end.counts.missing, end.counts.emitted) == (1, 0)
    assert world.sink.events == ()


def test_told_to_stop_it_leaves_behind_the_page_in_hand(world):
    world.put("a.jpg", "b.jpg", "c.jpg")
    world.listing.limit = 1
    world.listing.before_page = lambda bucket, _: bucket == "kept" and world.stopping.set()
    end = world.run()

    assert not end.finished
    assert end.after == "a.jpg"


# --- what happens meanwhile ----------------------------------------------------------------


@pytest.mark.parametrize("change", ["deleted", "overwritten"])
def test_what_changes_between_listing_and_event_is_not_announced_as_it_was(world, change):
    world.put("a.jpg", "b.jpg")

    def meanwhile(bucket, _):
        if bucket == "kept":  # the images are listed, and nothing is sent yet
            if change == "deleted":
                world.store.delete("images", "a.jpg")
            else:
                world.put("a.jpg", data=b"newer")

    world.listing.before_page = meanwhile
    end = world.run()

    assert world.announced == ["b.jpg"]
    assert end.counts.gone == 1


def test_a_sink_that_is_away_for_a_moment_gets_the_same_event_again(world):
    world.put("a.jpg")
    world.sink.fail(SinkUnavailable("down"))
    end = world.run()

    assert world.announced == ["a.jpg"]
    assert end.counts.emitted == 1


def test_a_sink_that_stays_away_ends_the_run_behind_the_last_whole_page(world):
    world.put("a.jpg", "b.jpg")
    world.listing.limit = 1

    class Dying:
        def __init__(self):
            self.events = []

        def send(self, event):
            if self.events:
                world.stopping.set()
                raise SinkUnavailable("down")
            self.events.append(event)

    with pytest.raises(SinkUnavailable):
        world.run(sink=Dying())
    assert [checkpoint.after for checkpoint in world.passed] == ["a.jpg"]


def test_an_event_that_is_refused_for_good_does_not_end_the_run(world):
    world.put("a.jpg", "b.jpg", "c.jpg")
    world.sink.fail(DeliveryRejected("no"))
    end = world.run()

    assert end.finished
    assert (end.counts.emitted, end.counts.refused) == (2, 1)


def test_a_sink_that_refuses_everything_ends_the_run(world):
    world.put(*(f"{n:02}.jpg" for n in range(50)))

    class Wrong:
        def send(self, event):
            raise DeliveryRejected(f"405 for {event.id}")

    with pytest.raises(DeliveryRejected, match="405"):
        world.run(sink=Wrong())
    assert world.passed == []


def test_a_missing_bucket_is_said(world):
    with pytest.raises(ObjectGone, match="nowhere"):
        world.run(bucket="nowhere")


def test_events_are_sent_side_by_side(world):
    world.put(*(f"{n}.jpg" for n in range(4)))
    together = threading.Barrier(4, timeout=30)

    class Waiting:
        def send(self, _):
            together.wait()

    assert world.run(sink=Waiting()).counts.emitted == 4
