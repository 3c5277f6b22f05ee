"""The CloudEvent that a source makes from a bare notification.

Follows the CloudEvents adapter for S3 (cloudevents/spec, adapters/aws-s3.md).
"""

from collections.abc import Mapping
from urllib.parse import quote_plus

from rookery.events import strict_json
from rookery.events.attributes import legal
from rookery.events.identity import source_event_id
from rookery.events.object_created import (
    RAW_KEY_PRODUCERS,
    TYPE_PREFIXES,
    ObjectCreated,
    from_document,
    records,
)
from rookery.events.wire import CloudEvent


def announce(document: object, *, max_records: int | None = None) -> tuple[CloudEvent, ...]:
    """One event for every object that the bare notification *document* announces.

    Raises:
        EventInvalid: as `from_document`.
    """
    return tuple(
        to_event(obj, record if "s3" in record else record_of(obj, region=record.get("region")))
        for record in records(document, max_records=max_records)
        for obj in from_document(record)
    )


def to_event(obj: ObjectCreated, record: Mapping[str, object]) -> CloudEvent:
    """Make the event that announces *obj*; *record* is the S3 record it was read from.

    The data is `{"Records": [record]}`, an ordinary S3 notification of one record: code written
    for S3 reads it unchanged, and the record's own eventSource says how its key is encoded.
    """
    producer = record.get("eventSource") or "aws:s3"
    return CloudEvent(
        id=legal(source_event_id(obj)),
        source=legal(f"{producer}.{record.get('awsRegion') or ''}.{obj.bucket}"),
        type=legal(f"{TYPE_PREFIXES[0]}{obj.event_name}"),
        subject=legal(obj.key),
        time=obj.time,
        datacontenttype="application/json",
        data=strict_json.serialize({"Records": [record]}),
    )


def record_of(
    obj: ObjectCreated, *, producer: str = "aws:s3", region: object = None
) -> dict[str, object]:
    """Write *obj* as an S3 notification record, as *producer* would."""
    described = {
        "key": obj.key if producer in RAW_KEY_PRODUCERS else quote_plus(obj.key),
        "size": obj.size,
        "eTag": obj.etag,
        "versionId": obj.version,
        "sequencer": obj.sequencer,
    }
    record: dict[str, object] = {
        "eventVersion": "2.1",
        "eventSource": producer,
        "awsRegion": region if isinstance(region, str) else "",
        "eventName": obj.event_name,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": obj.bucket, "arn": f"arn:aws:s3:::{obj.bucket}"},
            "object": {name: value for name, value in described.items() if value is not None},
        },
    }
    if obj.time is not None:
        record["eventTime"] = obj.time
    if obj.request_id is not None:
        record["responseElements"] = {"x-amz-request-id": obj.request_id}
    return record
