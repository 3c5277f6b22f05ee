import pytest

from rookery.errors import EventForbidden, EventInvalid
from rookery.events.object_created import ObjectCreated
from rookery.events.selection import select


def put(key="k", bucket="images", name="ObjectCreated:Put"):
    return ObjectCreated(bucket=bucket, key=key, event_name=name)


def chosen(*objects, buckets=("images", "more"), event_name="ObjectCreated:*"):
    return select(objects, buckets=buckets, event_name=event_name)


def test_objects_of_configured_buckets_are_taken_in_order():
    objects = (put("b"), put("a", bucket="more"), put("b"))
    assert chosen(*objects) == objects


def test_nothing_is_taken_from_nothing():
    assert chosen() == ()


def test_another_bucket_is_forbidden_by_name():
    with pytest.raises(EventForbidden, match=r"bucket secrets is .*S3_BUCKET_NAME is images, more"):
        chosen(put(), put(bucket="secrets"))


def test_without_a_configured_bucket_all_are_forbidden():
    with pytest.raises(EventForbidden, match="S3_BUCKET_NAME is empty"):
        chosen(put(), buckets=())


@pytest.mark.parametrize("bucket", ["Images", "images ", "image", "more, images"])
def test_a_bucket_must_be_named_exactly(bucket):
    with pytest.raises(EventForbidden):
        chosen(put(bucket=bucket))


@pytest.mark.parametrize(
    ("pattern", "name", "taken"),
    [
        ("ObjectCreated:*", "ObjectCreated:Put", True),
        ("s3:ObjectCreated:*", "ObjectCreated:Put", True),
        ("ObjectCreated*", "ObjectCreated", True),
        ("*", "ObjectCreated:Put", True),
        ("ObjectCreated:Put", "ObjectCreated:Put", True),
        ("s3:ObjectCreated:Put", "ObjectCreated:Put", True),
        ("ObjectCreated:Put", "ObjectCreated:PutRetention", False),
        ("ObjectCreated:Put", "ObjectCreated:Copy", False),
        ("ObjectCreated:C*", "ObjectCreated:Put", False),
        ("objectcreated:*", "ObjectCreated:Put", False),
        ("Object?reated:Put", "ObjectCreated:Put", False),
    ],
)
def test_event_names_are_matched(pattern, name, taken):
    assert chosen(put(name=name), event_name=pattern) == ((put(name=name),) if taken else ())


def test_what_is_left_out_by_name_may_lie_in_any_bucket():
    assert chosen(put(bucket="secrets"), event_name="ObjectCreated:Copy") == ()


@pytest.mark.parametrize(
    "key",
    [
        "../../etc/passwd", "/abs", "a b", "a+b", "100%", "%2e%2e", "é", "日本語.jpg",
        "line\nbreak", "\\", "a//b", ".", "x" * 1024, "é" * 512, "?*[", "\x7f",
    ],
)  # fmt: skip
def test_any_key_that_s3_allows_is_taken(key):
    assert chosen(put(key)) == (put(key),)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "the object key is empty"),
        ("x" * 1025, "has 1,025 bytes, S3 allows 1,024"),
        ("é" * 513, "has 1,026 bytes"),
        ("a\0b", "holds a NUL character"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_a_key_that_s3_does_not_allow_is_refused(key, problem):
    with pytest.raises(EventInvalid, match=problem):
        chosen(put(key))
