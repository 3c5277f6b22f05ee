"""One fact in many shapes: an object was created in a bucket."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote_plus

from rookery.errors import EventInvalid
from rookery.events import strict_json
from rookery.events.attributes import kind, shown
from rookery.events.json_object import JsonObject
from rookery.events.wire import CloudEvent

TYPE_PREFIXES: Final = ("com.amazonaws.s3.", "com.amazonaws.s3:", "com.amazonaws.")
"""What a CloudEvent's type is before the event's name: the CloudEvents adapter for S3 and Rookery;
CephSource for Ceph before 16; Ceph from 17 on, and CephSource."""

_TEST_EVENT: Final = "s3:TestEvent"
# Notifications URL-encode the key, as AWS documents it; these producers send it as it is.
RAW_KEY_PRODUCERS: Final = frozenset({"ceph:s3"})
# EventBridge says what was done in its own words.
_REASONS: Final = {
    "PutObject": "Put",
    "POST Object": "Post",
    "CopyObject": "Copy",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
}
_UNKNOWN: Final = "ObjectCreated:Unknown"  # EventBridge, for a reason that is not listed above
EVENT_NAMES: Final = tuple(f"ObjectCreated:{way}" for way in _REASONS.values())
"""Every way in which S3 and Ceph create an object."""
EVENT_TYPES: Final = (
    *(prefix + name for prefix in TYPE_PREFIXES for name in EVENT_NAMES),
    TYPE_PREFIXES[0] + _UNKNOWN,
)
"""Every type that a CloudEvent about a creation has: what a function subscribes to."""
# What S3 and older MinIO call the only version of an object in a bucket without versioning.
_NO_VERSION: Final = frozenset({"null", "1"})
# SNS inside SQS inside a poller's record: real chains are no longer.
_MAX_ENVELOPES: Final = 4


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
        request_id: what the store calls the request that made the object, or None; the id of the
            event where nothing else tells this version of the object from the next.
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


@dataclass(frozen=True, slots=True)
class _Context:
    """What the enclosing event says for records that leave it out."""

    event_name: str | None = None
    producer: str | None = None
    time: str | None = None
    id: str | None = None


def from_event(event: CloudEvent, *, max_records: int | None = None) -> tuple[ObjectCreated, ...]:
    """Read the objects that *event* announces; its other records are left out.

    Only the data is trusted with names: attributes fill in what a record leaves out.

    Raises:
        EventInvalid: a record is malformed, or there are more than *max_records*; then nothing
            of the event is used.
    """
    if not event.data:
        raise EventInvalid(f"event {event.id!r} has no data; an S3 notification is needed")
    prefix = next((each for each in TYPE_PREFIXES if event.type.startswith(each)), None)
    context = _Context(
        event_name=None if prefix is None else event.type.removeprefix(prefix),
        producer=event.source.partition(".")[0],
        time=event.time,
        id=event.id,
    )
    return _read(event.json(), context, max_records)


def from_document(document: object, *, max_records: int | None = None) -> tuple[ObjectCreated, ...]:
    """Read the objects that a bare notification announces; its other records are left out.

    *document* is parsed JSON: an S3 notification, one of its records, the body of an SQS message,
    an SNS envelope, an EventBridge event, or S3's test event (which announces nothing).

    Raises:
        EventInvalid: as `from_event`.
    """
    return _read(document, _Context(), max_records)


def records(
    document: object, *, max_records: int | None = None
) -> tuple[Mapping[str, object], ...]:
    """Take every envelope off *document*; return the S3 records and EventBridge events inside.

    Each of them is a document of its own for `from_document`.

    Raises:
        EventInvalid: something else is inside, or more than *max_records*.
    """
    return tuple(record.values for record in _records(document, max_records))


def _read(
    document: object, context: _Context, max_records: int | None
) -> tuple[ObjectCreated, ...]:
    found = []
    for record in _records(document, max_records):
        read = _from_eventbridge if "detail" in record else _from_s3
        obj = read(record, context)
        if obj is not None:
            found.append(_identifiable(obj, record, context))
    return tuple(found)


def _records(document: object, max_records: int | None) -> list[JsonObject]:
    found = []
    for record in _unwrap(document, "record 0", _MAX_ENVELOPES):
        found.append(record)
        if max_records is not None and len(found) > max_records:
            raise EventInvalid(
                f"the notification has more than {max_records:,} records; "
                "send fewer at once or raise ROOKERY_MAX_RECORDS"
            )
    return found


def _unwrap(document: object, place: str, envelopes: int) -> Iterator[JsonObject]:
    if isinstance(document, str):
        document = strict_json.parse(document, what=place)
    fields = JsonObject.of(document, place)
    if "s3" in fields or ("detail" in fields and "detail-type" in fields):
        yield fields
    elif envelopes == 0:
        raise EventInvalid(f"{place}: there are more than {_MAX_ENVELOPES} envelopes around it")
    elif "Records" in fields:
        inner = fields.values["Records"]
        if not isinstance(inner, list):
            raise EventInvalid(f"Records must be an array, not {kind(inner)}")
        for index, record in enumerate(inner):
            yield from _unwrap(record, f"record {index}", envelopes - 1)
    elif fields.values.get("Event") != _TEST_EVENT:
        yield from _unwrap(_enclosed(fields), place, envelopes - 1)


def _enclosed(fields: JsonObject) -> object:
    """Open one envelope of a queue or a topic."""
    if fields.values.get("Type") == "SubscriptionConfirmation":
        raise EventInvalid("this is an SNS subscription request; confirm it at its SubscribeURL")
    for name in ("Message", "Sns", "body", "Body"):
        if fields.values.get(name):
            return fields.values[name]
    names = ", ".join(shown(name) for name in list(fields.values)[:8]) or "nothing"
    raise EventInvalid(
        f"{fields.place} is no object-created notification: it needs Records, s3, detail-type "
        f"with detail, or an SQS or SNS message around one of them, and has {names}"
    )


def _from_s3(record: JsonObject, context: _Context) -> ObjectCreated | None:
    event_name = (record.text("eventName") or context.event_name or "").removeprefix("s3:")
    if not event_name:
        raise EventInvalid(f"{record.field('eventName')} is missing")
    if event_name.partition(":")[0] != "ObjectCreated":
        return None
    s3 = record.nested("s3")
    described = s3.nested("object")
    key = described.required("key")
    if (record.text("eventSource") or context.producer) not in RAW_KEY_PRODUCERS:
        key = _decoded(key, described.field("key"))
    return ObjectCreated(
        bucket=s3.nested("bucket").required("name"),
        key=key,
        event_name=event_name,
        version=_version(described.text("versionId")),
        etag=_etag(described.text("eTag", "etag")),
        size=described.size("size"),
        sequencer=described.text("sequencer"),
        time=record.time("eventTime"),
        request_id=record.nested("responseElements").text("x-amz-request-id"),
    )


def _from_eventbridge(event: JsonObject, context: _Context) -> ObjectCreated | None:  # noqa: ARG001 - the envelope says it all
    if event.text("detail-type") != "Object Created":
        return None
    detail = event.nested("detail")
    reason = detail.text("reason")
    described = detail.nested("object")
    return ObjectCreated(
        bucket=detail.nested("bucket").required("name"),
        key=described.required("key"),
        event_name=f"ObjectCreated:{_REASONS[reason]}" if reason in _REASONS else _UNKNOWN,
        version=_version(described.text("version-id")),
        etag=_etag(described.text("etag", "eTag")),
        size=described.size("size"),
        sequencer=described.text("sequencer"),
        time=event.time("time"),
        request_id=detail.text("request-id"),
    )


def _identifiable(obj: ObjectCreated, record: JsonObject, context: _Context) -> ObjectCreated:
    """Fill in what the event says; refuse what no later version could be told from."""
    obj = replace(obj, time=obj.time or context.time)
    if obj.version or obj.etag or obj.time or obj.request_id:
        return obj
    if context.id is None:
        raise EventInvalid(
            f"{record.place} says nothing that tells this version of the object from the next; "
            "add s3.object.versionId, s3.object.eTag or eventTime"
        )
    return replace(obj, request_id=context.id)


def _decoded(key: str, place: str) -> str:
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as exc:
        raise EventInvalid(f"{place} is not URL-encoded UTF-8: {shown(key)}") from exc


def _version(version: str | None) -> str | None:
    return None if version in _NO_VERSION else version


def _etag(etag: str | None) -> str | None:
    return (etag or "").strip('"') or None
