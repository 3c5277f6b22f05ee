"""One HTTP message of notifications, in whatever shape, as one event for every object."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from rookery.events import strict_json
from rookery.events.announcement import announce, record_of, to_event
from rookery.events.object_created import RAW_KEY_PRODUCERS, from_event, records
from rookery.events.wire import CloudEvent, from_http, is_event

MAX_RECORDS: Final = 10_000
"""More records in one message are refused: nobody sends so many, and each is some work."""


def events_of(headers: Mapping[str, str], body: bytes) -> tuple[CloudEvent, ...]:
    """Read a message: bare notifications, their SNS, SQS and EventBridge envelopes, CloudEvents.

    The same upload has the same event in all of them: its id, source, type and subject. What
    announces no object, such as a removal or S3's test event, is no event.

    Raises:
        EventInvalid: it is none of them, or some record of it is malformed.
        UnsupportedMedia: a CloudEvents format other than JSON.
    """
    if not is_event(headers):
        return announce(strict_json.parse(body), max_records=MAX_RECORDS)
    return tuple(
        announced
        for event in from_http(headers, body, max_events=MAX_RECORDS)
        for announced in _announced(event)
    )


def _announced(event: CloudEvent) -> Iterator[CloudEvent]:
    """Make one event for every object that *event* announces; its extensions are kept."""
    for record in records(event.json(), max_records=MAX_RECORDS):
        alone = replace(event, data=strict_json.serialize(record))
        for obj in from_event(alone):
            completed = _completed(record, record_of(obj, producer=_producer(event)))
            yield replace(to_event(obj, completed), extensions=event.extensions)


def _completed(record: Mapping[str, object], full: dict[str, object]) -> dict[str, object]:
    """Return *record*, and from *full*, written from both, what only its event said."""
    if "s3" not in record:  # an EventBridge event
        return full | {"awsRegion": record.get("region") or ""}
    missing = {name: each for name, each in full.items() if record.get(name) in (None, "")}
    return {**record, **missing}


def _producer(event: CloudEvent) -> str:
    producer = event.source.partition(".")[0]
    return producer if producer in RAW_KEY_PRODUCERS else "aws:s3"
