"""What every ObjectStore keeps: one suite, run on each adapter."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from rookery.errors import ObjectGone, ObjectReplaced, ObjectTooLarge

KIB = 1024


def read(stores, key, *, version=None, max_bytes=KIB):
    return stores.store.read(stores.bucket, key, version=version, max_bytes=max_bytes).data


def write(stores, key, data):
    stores.store.write(stores.bucket, key, data, content_type="image/jpeg")


def test_reads_what_was_written(stores):
    write(stores, "photo.jpg", b"\x00\xff data")

    assert read(stores, "photo.jpg") == b"\x00\xff data"


def test_a_write_replaces_what_was_there(stores):
    write(stores, "photo.jpg", b"old")
    write(stores, "photo.jpg", b"new")

    assert read(stores, "photo.jpg") == b"new"


def test_reads_an_older_version(stores):
    write(stores, "photo.jpg", b"old")
    write(stores, "photo.jpg", b"new")

    assert read(stores, "photo.jpg", version=stores.versions("photo.jpg")[0]) == b"old"


@pytest.mark.parametrize(
    "key",
    [
        "a b+c%20/é/../x.jpg",
        "../x.jpg",
        "/leading",
        "a//b",
        "%2F%2f",
        "?x=1&y=2#z",
        "a&b=c;d:e@f,g'h(i)*!~$",
        "..",
        "日本語.jpg",
        "🦉.png",
        "quote\"<&>'",
        "tab\t",
        "k" * 1024,
    ],
)
def test_any_key_names_its_own_object(stores, key):
    write(stores, key, key.encode())
    write(stores, "x.jpg", b"another")

    assert read(stores, key, max_bytes=4 * KIB) == key.encode()


def test_zero_bytes_are_an_object(stores):
    write(stores, "empty", b"")

    assert read(stores, "empty") == b""


def test_an_object_of_exactly_the_limit_is_read(stores):
    write(stores, "full", b"x" * KIB)

    assert len(read(stores, "full", max_bytes=KIB)) == KIB


def test_an_object_over_the_limit_is_refused(stores):
    write(stores, "large", b"x" * (KIB + 1))

    with pytest.raises(ObjectTooLarge, match=r"1,025 bytes, the limit is 1,024"):
        read(stores, "large", max_bytes=KIB)


def test_a_missing_key_is_gone(stores):
    with pytest.raises(ObjectGone, match=r"missing\.jpg"):
        read(stores, "missing.jpg")


def test_a_missing_version_is_gone(stores):
    write(stores, "photo.jpg", b"data")

    with pytest.raises(ObjectGone, match=r"photo\.jpg"):
        read(stores, "photo.jpg", version="00000000-0000-4000-8000-000000000000")


def read_if(stores, key, etag):
    return stores.store.read(stores.bucket, key, version=None, max_bytes=KIB, etag=etag)


def test_an_object_is_read_with_its_entity_tag(stores):
    write(stores, "photo.jpg", b"data")

    assert (
        read_if(stores, "photo.jpg", None).etag
        == hashlib.md5(b"data", usedforsecurity=False).hexdigest()
    )


def test_an_object_that_still_has_its_entity_tag_is_read(stores):
    write(stores, "photo.jpg", b"data")
    etag = read_if(stores, "photo.jpg", None).etag

    assert read_if(stores, "photo.jpg", etag).data == b"data"


def test_an_object_that_was_overwritten_is_replaced_until_its_bytes_come_back(stores):
    write(stores, "photo.jpg", b"old")
    etag = read_if(stores, "photo.jpg", None).etag
    write(stores, "photo.jpg", b"new")

    with pytest.raises(ObjectReplaced, match=r"photo\.jpg"):
        read_if(stores, "photo.jpg", etag)
    write(stores, "photo.jpg", b"old")
    assert read_if(stores, "photo.jpg", etag).data == b"old"


@pytest.mark.parametrize(
    "etag", ["*", "0", 'a"b', "a b", 'x", "y', "é", "\r\nX-Injected: 1", "☂", ""]
)
def test_what_is_no_entity_tag_of_the_object_matches_nothing(stores, etag):
    write(stores, "photo.jpg", b"data")

    with pytest.raises(ObjectReplaced):
        read_if(stores, "photo.jpg", etag)


def test_a_missing_key_is_gone_and_not_replaced(stores):
    with pytest.raises(ObjectGone) as raised:
        read_if(stores, "missing.jpg", "0" * 32)

    assert not isinstance(raised.value, ObjectReplaced)


@pytest.mark.parametrize("bucket", ["no-such-bucket", "not a bucket name"])
def test_reading_from_a_missing_bucket_is_gone(stores, bucket):
    with pytest.raises(ObjectGone, match=bucket):
        stores.store.read(bucket, "photo.jpg", version=None, max_bytes=KIB)


def test_writing_to_a_missing_bucket_is_gone(stores):
    with pytest.raises(ObjectGone, match="no-such-bucket"):
        stores.store.write("no-such-bucket", "photo.jpg", b"data", content_type="image/jpeg")


def test_threads_read_at_once_and_each_its_own_object(stores):
    contents = {f"k{n}": bytes([n]) * 100 * KIB for n in range(16)}
    for key, data in contents.items():
        write(stores, key, data)

    with ThreadPoolExecutor(8) as pool:
        found = dict(
            pool.map(lambda key: (key, read(stores, key, max_bytes=1000 * KIB)), [*contents] * 4)
        )

    assert found == contents
