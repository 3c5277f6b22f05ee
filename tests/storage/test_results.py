import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import StorageUnavailable
from rookery.events.object_created import ObjectCreated
from rookery.events.result import FAILED, failed
from rookery.events.wire import CloudEvent, from_http
from rookery.storage.memory import MemoryStore
from rookery.storage.results import ResultsPlace, ResultsStore

PLACE = ResultsPlace("results", "results/")
ETAG = "0123456789abcdef0123456789abcdef"
LIMIT = 1024  # bytes of a key that S3 allows

keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
stamps = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=200)


def result(kind="completed", **obj):
    document = {"bucket": "images", "key": "a.jpg", "version": None, "etag": ETAG, "size": 1}
    return CloudEvent(
        id="1",
        source="/f",
        type=f"dev.rookery.inference.{kind}.v1",
        datacontenttype="application/json",
        data=json.dumps({"object": {**document, **obj}, "é": 1}).encode(),
    )


def kept(store):
    return [one.key for one in store.page("results").objects]


@pytest.fixture
def store():
    return MemoryStore("results")


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (result(), f"results/images/a.jpg/{ETAG}.json"),
        (result("failed"), f"results/images/a.jpg/{ETAG}.failed.json"),
        (result(key="a b/é+%.jpg"), f"results/images/a b/é+%.jpg/{ETAG}.json"),
        (result(key="folder/"), f"results/images/folder//{ETAG}.json"),
        (result(key="../x"), f"results/images/../x/{ETAG}.json"),
        (result(etag=f"{ETAG}-12"), f"results/images/a.jpg/{ETAG}-12.json"),
        (result(etag="a/b=c.d"), "results/images/a.jpg/a%2Fb%3Dc%2Ed.json"),
        (result(etag=None, version="v1"), "results/images/a.jpg/v1.json"),
        (result(etag=ETAG, version="v1"), f"results/images/a.jpg/{ETAG}.json"),
        (result(etag=None), "results/images/a.jpg/unknown.json"),
    ],
)
def test_the_name_says_which_object_and_which_version_of_it(store, event, name):
    ResultsStore(store, PLACE).send(event)
    assert kept(store) == [name]


def test_without_a_prefix_the_name_begins_with_the_bucket(store):
    ResultsStore(store, ResultsPlace("results", "")).send(result())
    assert kept(store) == [f"images/a.jpg/{ETAG}.json"]


def test_the_whole_event_is_kept_in_structured_mode(store):
    ResultsStore(store, PLACE).send(result())
    body = store.read("results", kept(store)[0], version=None, max_bytes=10_000).data
    (event,) = from_http({"Content-Type": "application/cloudevents+json"}, body)
    assert (event.id, event.source, event.type) == ("1", "/f", result().type)
    assert event.json() == result().json()


def test_a_repeat_replaces_its_first(store):
    for _ in range(2):
        ResultsStore(store, PLACE).send(result())
    assert len(kept(store)) == 1


def test_a_failed_event_of_ours_is_kept(store):
    obj = ObjectCreated("images", "a.jpg", "ObjectCreated:Put", etag=ETAG)
    event = failed(StorageUnavailable("x"), cause=None, obj=obj, source="/f", time="t")
    ResultsStore(store, PLACE).send(event)
    assert event.type == FAILED
    assert kept(store) == [f"results/images/a.jpg/{ETAG}.failed.json"]


def test_a_missing_bucket_is_the_operators_to_make_and_no_fault_of_the_event():
    with pytest.raises(StorageUnavailable, match="ROOKERY_RESULTS_BUCKET"):
        ResultsStore(MemoryStore("images"), PLACE).send(result())


@pytest.mark.parametrize("char", ["x", "é", "🦉"])
@pytest.mark.parametrize("prefix", ["", "results/", "p" * 255 + "/"])
def test_the_longest_key_still_has_a_name_that_s3_allows(char, prefix):
    key = (char * LIMIT).encode()[:LIMIT].decode(errors="ignore")
    name = ResultsPlace("results", prefix).stem("b" * 63, key, ETAG) + ".failed.json"
    assert len(name.encode()) <= LIMIT
    assert name.startswith(f"{prefix}{'b' * 63}/{char}")  # so that it lies beside its neighbors


def test_a_name_is_shortened_only_where_it_must_be():
    fits = LIMIT - len(f"results/images//{ETAG}.failed.json")
    assert PLACE.stem("images", "k" * fits, ETAG).endswith(f"k/{ETAG}")
    assert f"={ETAG}" in PLACE.stem("images", "k" * (fits + 1), ETAG)


def test_long_keys_with_the_same_start_have_names_of_their_own():
    assert PLACE.stem("images", "k" * 1000 + "1", ETAG) != PLACE.stem(
        "images", "k" * 1000 + "2", ETAG
    )


@given(key=keys, other=keys, stamp=stamps, another=stamps, repeat=st.integers(1, 80))
def test_different_versions_and_objects_never_share_a_name(key, other, stamp, another, repeat):
    # S3's own limit on keys.
    key, other = (
        (one * repeat).encode()[:LIMIT].decode(errors="ignore") or "k" for one in (key, other)
    )
    names = {
        (bucket, one, tag, suffix): PLACE.stem(bucket, one, tag) + suffix
        for bucket in ("a", "b")
        for one in (key, other)
        for tag in (stamp, another)
        for suffix in (".json", ".failed.json")
    }
    assert len(set(names.values())) == len(names)
    assert all(len(name.encode()) <= LIMIT for name in names.values())


@pytest.mark.parametrize(
    ("bucket", "key", "held"),
    [
        ("results", "results/images/a.jpg/1.json", True),
        ("results", "results/", True),
        ("results", "results.jpg", False),
        ("results", "a.jpg", False),
        ("images", "results/images/a.jpg/1.json", False),
    ],
)
def test_what_is_a_result_is_known_by_bucket_and_prefix(store, bucket, key, held):
    assert ResultsStore(store, PLACE).holds(bucket, key) is held
