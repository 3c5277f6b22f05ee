"""The events a function sends: a result, a failure, a dead letter. Their contract: events/."""

import base64
import hashlib
from dataclasses import asdict, replace
from typing import Final

from rookery.errors import RookeryError
from rookery.events import strict_json
from rookery.events.attributes import legal
from rookery.events.identity import digest, object_identity, result_id
from rookery.events.object_created import ObjectCreated
from rookery.events.wire import CloudEvent, to_document
from rookery.models.classification import Classification
from rookery.models.classification import to_document as to_answer

COMPLETED: Final = "dev.rookery.inference.completed.v1"
FAILED: Final = "dev.rookery.inference.failed.v1"
DEADLETTER: Final = "dev.rookery.inference.deadletter.v1"

MAX_RESULT_BYTES: Final = 48 * 1024
"""Event data stays below this: 64 KiB with attributes is what every CloudEvents hop must carry."""
MAX_KEPT_BYTES: Final = 32 * 1024
"""How much of a poison event or body its dead letter keeps, before base64."""
MAX_MESSAGE_CHARS: Final = 1024

# Distributed tracing extension: a result belongs to the trace of what caused it.
_CARRIED_ON: Final = ("traceparent", "tracestate")


def completed(  # noqa: PLR0913
    classification: Classification,
    *,
    cause: CloudEvent | None,
    obj: ObjectCreated,
    source: str,
    time: str,
    etag: str | None = None,
) -> CloudEvent:
    """Make the event that carries the classification of *obj*.

    Lists fewer classes, the least probable left out, where all of them would make it too large.

    Args:
        classification: the answer.
        cause: the event that announced *obj*; its trace context is carried on.
        obj: what was classified.
        source: who says so, such as `/rookery/functions/classify`.
        time: now, RFC 3339.
        etag: the entity tag of the bytes that were classified, where the store named it.
    """
    identity = object_identity(obj)  # as announced: a repeat must come to the same
    obj = replace(obj, etag=etag or obj.etag)
    data = _completed_data(classification, obj)
    while len(data) > MAX_RESULT_BYTES and len(classification.scores) > 1:
        half = len(classification.scores) // 2
        classification = replace(classification, scores=classification.scores[:half])
        data = _completed_data(classification, obj)
    return CloudEvent(
        id=result_id(identity, classification.model, classification.version),
        source=source,
        type=COMPLETED,
        subject=legal(obj.key),
        time=time,
        datacontenttype="application/json",
        dataschema=schema_of(COMPLETED),
        extensions=_extensions(cause),
        data=data,
    )


def failed(  # noqa: PLR0913
    error: RookeryError,
    *,
    cause: CloudEvent | None,
    obj: ObjectCreated,
    source: str,
    time: str,
    status: int | None = None,
) -> CloudEvent:
    """Make the event that says why *obj* has no result.

    The id depends on the object and on the kind of error: the same refusal of the same object is
    one fact, however often it is delivered.

    Args:
        error: what went wrong.
        cause: the event that announced *obj*.
        obj: what could not be classified.
        source: who says so.
        time: now, RFC 3339.
        status: the HTTP status that *error* was answered with, where there was an answer.
    """
    data = {"error": _error_document(error, status), "object": _object_document(obj)}
    return CloudEvent(
        id=digest("failed", object_identity(obj), error.code),
        source=source,
        type=FAILED,
        subject=legal(obj.key),
        time=time,
        datacontenttype="application/json",
        dataschema=schema_of(FAILED),
        extensions=_extensions(cause),
        data=strict_json.serialize(data),
    )


def deadletter(
    error: RookeryError,
    original: CloudEvent | bytes,
    *,
    source: str,
    time: str,
    status: int | None = None,
) -> CloudEvent:
    """Make the event that keeps what could not be processed, for a person to look at or replay.

    *original* is the event as it came, or the request body where not even that could be read.
    Data or a body beyond MAX_KEPT_BYTES is cut; its full length and SHA-256 are kept.
    """
    event = original if isinstance(original, CloudEvent) else None
    payload = original.data if isinstance(original, CloudEvent) else original
    data: dict[str, object] = {"error": _error_document(error, status)}
    if event is not None:
        # Ceph gives all events of one request the same source and id.
        identity = digest("event", event.source, event.id, event.type, event.subject)
        data["event"] = _event_document(event)
    else:
        identity = _sha256(payload)
        data["body_base64"] = _base64_start(payload)
    if len(payload) > MAX_KEPT_BYTES:
        data["truncated"] = {"bytes": len(payload), "sha256": _sha256(payload)}
    return CloudEvent(
        id=digest("deadletter", identity, error.code),
        source=source,
        type=DEADLETTER,
        subject=None if event is None else event.subject,
        time=time,
        datacontenttype="application/json",
        dataschema=schema_of(DEADLETTER),
        extensions=_extensions(event),
        data=strict_json.serialize(data),
    )


def schema_of(event_type: str) -> str:
    """The URN of the JSON Schema for the data of *event_type*, the `$id` in events/schemas."""
    return f"urn:rookery:schema:{event_type.removeprefix('dev.rookery.')}"


def _completed_data(classification: Classification, obj: ObjectCreated) -> bytes:
    return strict_json.serialize({**to_answer(classification), "object": _object_document(obj)})


def _object_document(obj: ObjectCreated) -> dict[str, object]:
    values = asdict(obj)
    return {name: values[name] for name in ("bucket", "key", "version", "etag", "size")}


def _error_document(error: RookeryError, status: int | None) -> dict[str, object]:
    document: dict[str, object] = {"code": error.code, "message": str(error)[:MAX_MESSAGE_CHARS]}
    return document if status is None else {**document, "status": status}


def _event_document(event: CloudEvent) -> dict[str, object]:
    if len(event.data) <= MAX_KEPT_BYTES:
        return to_document(event)
    # Cut JSON is no JSON any more.
    return to_document(replace(event, data=b"")) | {"data_base64": _base64_start(event.data)}


def _base64_start(data: bytes) -> str:
    return base64.b64encode(data[:MAX_KEPT_BYTES]).decode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _extensions(cause: CloudEvent | None) -> dict[str, str]:
    if cause is None:
        return {}
    carried = {name: cause.extensions[name] for name in _CARRIED_ON if name in cause.extensions}
    return {**carried, "causationid": cause.id}
