"""One fact in many shapes: an object was created in a bucket."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectCreated:
    """An object that now exists, whoever announced it.

    Attributes:
        bucket: the bucket's name.
        key: the object key, decoded: exactly what the store is asked for.
        event_name: without the `s3:` prefix, such as `ObjectCreated:Put`.
        version: the version id, or None where the bucket keeps no versions.
        etag: the entity tag without quotes, or None.
        size: bytes, or None where the producer does not say.
        sequencer: orders versions of one key and nothing else, or None.
        time: RFC 3339, or None.
        request_id: what the store calls the request that made the object, or None.
    """

    bucket: str
    key: str
    event_name: str
    version: str | None = None
    etag: str | None = None
    size: int | None = None
    sequencer: str | None = None
    time: str | None = None
    request_id: str | None = None
