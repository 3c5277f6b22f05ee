"""What every ObjectListing keeps: one suite, run on each adapter."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from rookery.errors import ObjectGone

# Every one is a trap for somebody: URL-encoding, XML, paths, sorting, start-after.
KEYS = [
    "a.jpg", "a.jpg-1", "a.jpg/", "a.jpg/x", "a b+c%20/é/../x.jpg", "../x.jpg", "/leading", "a//b",
    "%2F%2f", "?x=1&y=2#z", "a&b=c;d:e@f,g'h(i)*!~$", "..", "日本語.jpg", "🦉.png", "\uffee.jpg",
    "quote\"<&>'", "tab\t", " z", "z ", "a\\b", "plus+", "del\x7f", "k" * 1024,
]  # fmt: skip
CONTROL_KEYS = ["ctl\x01", "ctl\x1f", "esc\x1b[0m"]


def put(listings, *keys, data=b"data"):
    for key in keys:
        listings.store.write(listings.bucket, key, data, content_type="image/jpeg")


def walk(listings, *, limit=1000, prefix="", after=""):
    """Every key, page by page, each page starting behind the last key."""
    found = []
    for _ in range(200):
        page = listings.listing.page(listings.bucket, prefix=prefix, after=after, limit=limit)
        keys = [one.key for one in page.objects]
        assert len(keys) <= limit
        found += keys
        if not page.more:
            return found
        after = keys[-1]
    raise AssertionError("this bucket has no end")


def test_an_empty_bucket_is_one_empty_page(listings):
    page = listings.listing.page(listings.bucket)

    assert (page.objects, page.more) == ((), False)


def test_an_object_is_listed_with_tag_size_and_time(listings):
    put(listings, "a.jpg", data=b"12345")
    (one,) = listings.listing.page(listings.bucket).objects

    assert (one.key, one.size, one.version) == ("a.jpg", 5, None)
    assert one.etag == hashlib.md5(b"12345", usedforsecurity=False).hexdigest()
    assert abs(datetime.now(UTC) - one.modified) < timedelta(minutes=5)


@pytest.mark.parametrize("limit", [1000, 7, 1])
def test_pages_of_any_size_name_every_key_once_in_the_order_of_their_bytes(listings, limit):
    put(listings, *KEYS)

    assert walk(listings, limit=limit) == sorted(KEYS, key=str.encode)


@pytest.mark.parametrize("limit", [1000, 1])
def test_control_characters_are_no_end_of_a_listing(listings, limit):
    put(listings, "a.jpg", *CONTROL_KEYS, "z.jpg")

    assert walk(listings, limit=limit) == ["a.jpg", *sorted(CONTROL_KEYS), "z.jpg"]


def test_only_keys_with_the_prefix_are_listed(listings):
    put(listings, "a/1", "a/2", "a+b/%20/1", "a", "b/1")

    assert walk(listings, prefix="a/") == ["a/1", "a/2"]
    assert walk(listings, prefix="a+b/%20/") == ["a+b/%20/1"]
    assert walk(listings, prefix="nothing") == []


@pytest.mark.parametrize(
    ("after", "left"),
    [
        ("", ["b", "b/1", "c"]),
        ("a", ["b", "b/1", "c"]),
        ("b", ["b/1", "c"]),
        ("b/", ["b/1", "c"]),
        ("b/1\x01", ["c"]),
        ("b zz% +é", ["b/1", "c"]),
        ("c", []),
        ("🦉", []),
    ],
)
def test_a_listing_begins_after_any_text(listings, after, left):
    put(listings, "b", "b/1", "c")

    assert walk(listings, after=after) == left


def test_an_overwritten_object_is_listed_once_as_it_is_now(listings):
    put(listings, "a.jpg", data=b"old")
    put(listings, "a.jpg", data=b"newer")

    assert [one.size for one in listings.listing.page(listings.bucket).objects] == [5]


def test_an_exactly_full_page_is_the_last_one(listings):
    put(listings, "a", "b")

    assert listings.listing.page(listings.bucket, limit=2).more is False


def test_a_missing_bucket_is_gone(listings):
    with pytest.raises(ObjectGone, match="no-such-bucket"):
        listings.listing.page("no-such-bucket")


@pytest.mark.parametrize("key", ["a.jpg", "a b+c%20/é/../x.jpg", "🦉.png", "a.jpg/", "ctl\x01"])
def test_one_object_is_found_as_it_is_listed(listings, key):
    put(listings, key, data=b"12345")
    (listed,) = listings.listing.page(listings.bucket).objects
    found = listings.listing.find(listings.bucket, key)

    assert (found.key, found.etag, found.size) == (key, listed.etag, 5)
    assert int(found.modified.timestamp()) == int(listed.modified.timestamp())


@pytest.mark.parametrize("key", ["a.jp", "a.jpg/", "A.jpg"])
def test_what_is_not_there_is_not_found(listings, key):
    put(listings, "a.jpg")

    assert listings.listing.find(listings.bucket, key) is None


def test_in_a_missing_bucket_nothing_is_found(listings):
    assert listings.listing.find("no-such-bucket", "a.jpg") is None


def test_a_version_is_found_by_the_id_that_reads_it(stores):
    stores.store.write(stores.bucket, "a.jpg", b"old", content_type="image/jpeg")
    stores.store.write(stores.bucket, "a.jpg", b"new", content_type="image/jpeg")
    listing = stores.store if hasattr(stores.store, "page") else stores.store.listing()
    found = listing.find(stores.bucket, "a.jpg")

    assert found.version == stores.versions("a.jpg")[-1]
    assert [one.key for one in listing.page(stores.bucket).objects] == ["a.jpg"]
    read = stores.store.read(stores.bucket, "a.jpg", version=found.version, max_bytes=10)
    assert read.data == b"new"
