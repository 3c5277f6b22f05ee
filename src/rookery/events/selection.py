"""Which of the announced objects this function takes."""

from collections.abc import Collection, Iterable
from typing import Final

from rookery.errors import EventForbidden, EventInvalid
from rookery.events.attributes import shown
from rookery.events.object_created import ObjectCreated

MAX_KEY_BYTES: Final = 1024
"""The longest object key S3 allows, in UTF-8."""


def select(
    objects: Iterable[ObjectCreated], *, buckets: Collection[str], event_name: str
) -> tuple[ObjectCreated, ...]:
    """Return the objects to work on, in order.

    Args:
        objects: what an event announced.
        buckets: the buckets that may be read; anything else would let whoever can send an event
            read whatever our credentials can.
        event_name: what to take: exact, or a prefix ending in `*`; `s3:` is optional. The rest
            is left out silently, because it is somebody else's business.

    Raises:
        EventForbidden: an object lies in another bucket.
        EventInvalid: a key is none that S3 allows. Otherwise a key is any text, `../` included:
            it names an object and is never a path.
    """
    wanted = event_name.removeprefix("s3:")
    chosen = tuple(obj for obj in objects if _matches(obj.event_name, wanted))
    for obj in chosen:
        if obj.bucket not in buckets:
            allowed = ", ".join(sorted(buckets)) or "empty"
            raise EventForbidden(
                f"bucket {shown(obj.bucket)} is not configured; S3_BUCKET_NAME is {allowed}"
            )
        _check_key(obj.key)
    return chosen


def _matches(event_name: str, wanted: str) -> bool:
    if wanted.endswith("*"):
        return event_name.startswith(wanted[:-1])
    return event_name == wanted


def _check_key(key: str) -> None:
    try:
        length = len(key.encode())
    except UnicodeEncodeError as exc:
        raise EventInvalid("the object key holds a lone surrogate, which is no text") from exc
    if not length:
        raise EventInvalid("the object key is empty")
    if length > MAX_KEY_BYTES:
        raise EventInvalid(f"the object key has {length:,} bytes, S3 allows {MAX_KEY_BYTES:,}")
    if "\0" in key:
        raise EventInvalid(f"the object key holds a NUL character: {shown(key)}")
