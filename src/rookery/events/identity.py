"""Which object version an announcement is about, and the ids that follow from it.

The same upload is announced more than once: a retry, two notifications on one bucket, a queue
that delivers at least once. Its identity is the same each time, so a repeat is harmless.
"""

import hashlib
import json

from rookery.events.object_created import ObjectCreated


def object_identity(obj: ObjectCreated) -> str:
    """64 hex digits that are the same for every announcement of one version of one object.

    The version id where there is one; otherwise the entity tag with the request that stored it,
    or with the time where the store names no request. Never the sequencer or the record's event
    id: one upload seen through two notifications has two of each. Never the event's name: it
    says how, not what.
    """
    if obj.version is not None:
        return digest("version", obj.bucket, obj.key, obj.version)
    if obj.request_id is not None:
        return digest("request", obj.bucket, obj.key, obj.etag, obj.request_id)
    return digest("time", obj.bucket, obj.key, obj.etag, obj.time)


def result_id(identity: str, model: str, version: int) -> str:
    """The id of the result that version *version* of *model* has for an object's *identity*."""
    return digest("result", identity, model, str(version))


def source_event_id(obj: ObjectCreated) -> str:
    """The id of the event that a source makes from a bare notification of *obj*.

    Starts with the request id, to be found in the store's access log. The S3 adapter
    specification stops there, but one request can store many objects (archive uploads), and their
    events would share source and id: a part of the identity tells them apart.
    """
    identity = object_identity(obj)
    return identity if obj.request_id is None else f"{obj.request_id}.{identity[:32]}"


def digest(*parts: str | None) -> str:
    """SHA-256, in hex, of *parts*; no two lists of parts are written alike."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
