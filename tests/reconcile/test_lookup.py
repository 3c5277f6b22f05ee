from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import ObjectGone
from rookery.reconcile.lookup import Lookup
from rookery.storage.results import ResultsPlace


def look(world, limit=1000):
    world.listing.limit = limit
    lookup = Lookup(world.listing, ResultsPlace("kept", "results/"), "images", world.pool)
    looked = lookup.look(world.store.page("images", limit=100_000).objects)
    return {one.obj.key: one.state for one in looked}


def test_what_has_a_result_is_told_from_what_has_none(world):
    world.put("a.jpg", "b.jpg", "c.jpg")
    world.finish("a.jpg")
    world.finish("b.jpg", failed=True)

    assert look(world) == {"a.jpg": "done", "b.jpg": "failed", "c.jpg": "missing"}


def test_a_result_of_other_bytes_is_none(world):
    world.put("a.jpg", data=b"old")
    world.finish("a.jpg")
    world.put("a.jpg", data=b"new")

    assert look(world) == {"a.jpg": "missing"}


def test_a_result_of_an_earlier_upload_of_the_same_bytes_is_none(world):
    world.put("a.jpg")
    world.finish("a.jpg")
    world.clock.pass_(seconds=2)
    world.put("a.jpg")

    assert look(world) == {"a.jpg": "missing"}


def test_a_result_of_the_same_second_counts_because_some_stores_say_no_more(world):
    world.put("a.jpg")
    world.finish("a.jpg")
    world.clock.pass_(milliseconds=900)
    world.put("a.jpg")

    assert look(world) == {"a.jpg": "done"}


def test_a_success_counts_more_than_a_failure(world):
    world.put("a.jpg")
    world.finish("a.jpg", failed=True)
    world.finish("a.jpg")

    assert look(world) == {"a.jpg": "done"}


def test_a_failure_after_an_older_success_counts(world):
    world.put("a.jpg")
    world.finish("a.jpg")
    world.clock.pass_(seconds=2)
    world.put("a.jpg")
    world.finish("a.jpg", failed=True)

    assert look(world, limit=1) == {"a.jpg": "failed"}


# Each sorts differently from the keys of its results.
ODD = ["a.jpg", "a.jpg-1", "a.jpg/", "a.jpg/x", "a.jpg!", "a", "a/b", "a.", "a0", "é", "k" * 1000]


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_the_order_of_the_results_is_not_that_of_the_objects(world, limit):
    world.put(*ODD)
    world.finish(*ODD[::2])
    world.finish(ODD[1], failed=True)

    states = look(world, limit)
    assert {key for key, state in states.items() if state == "done"} == set(ODD[::2])
    assert [key for key, state in states.items() if state == "failed"] == [ODD[1]]


alphabet = st.text("a-./%0é", min_size=1, max_size=4)


@given(
    keys=st.dictionaries(alphabet, st.sampled_from(["done", "failed", "missing"]), max_size=12),
    clutter=st.sets(alphabet, max_size=12),
    limit=st.integers(1, 5),
)
def test_every_state_is_right_among_any_clutter_and_with_pages_of_any_size(
    make_world, keys, clutter, limit
):
    with ThreadPoolExecutor(2) as pool:
        world = make_world(pool)
        world.put(*clutter, *keys)
        world.finish(*clutter - set(keys))
        for key in clutter - set(keys):
            world.store.delete("images", key)
        for key, state in keys.items():
            if state != "missing":
                world.finish(key, failed=state == "failed")

        assert look(world, limit) == keys


def test_a_page_of_objects_costs_two_listings_and_no_single_question(world):
    keys = [f"{n:04}.jpg" for n in range(1000)]
    world.put(*keys)
    world.finish(*keys)

    assert set(look(world).values()) == {"done"}
    assert len(world.listing.pages) <= 2
    assert world.listing.finds == []


def test_missing_results_cost_no_single_question_either(world):
    world.put(*(f"{n:04}.jpg" for n in range(1000)))

    assert set(look(world).values()) == {"missing"}
    assert len(world.listing.pages) == 1
    assert world.listing.finds == []


def test_clutter_is_bounded_by_asking_for_what_is_left(world):
    keys = [f"{n:02}" for n in range(20)]
    for version in range(30):
        world.put(*keys, data=str(version).encode())
        world.finish(*keys)

    assert set(look(world, limit=10).values()) == {"done"}
    assert len(world.listing.pages) == 4
    assert 0 < len(world.listing.finds) <= 20


def test_a_missing_results_bucket_is_said(world):
    world.put("a.jpg")
    lookup = Lookup(world.listing, ResultsPlace("nowhere", ""), "images", world.pool)

    with pytest.raises(ObjectGone, match="nowhere"):
        lookup.look(world.store.page("images").objects)
