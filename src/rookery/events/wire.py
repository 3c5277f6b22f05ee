"""CloudEvents 1.0.2 on HTTP: binary, structured and batched content mode, to values and back.

Our own codec, because the SDK release that functions-framework pins (1.12) does not
percent-encode header values, knows no batches, and fills in or echoes what it should refuse. The
tests use that SDK as the peer on the other side.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

from rookery.errors import EventInvalid, UnsupportedMedia
from rookery.events import strict_json
from rookery.events.attributes import OPTIONAL, REQUIRED, is_legal, kind, validate

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

# HTTP protocol binding, section 3.1.3.2: everything else is percent-encoded as UTF-8. Space is
# encoded too, so that a value survives header whitespace trimming.
_HEADER_SAFE: Final = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event: its context attributes, and its data as the bytes that were sent.

    Attributes:
        extensions: extension attributes by name, values in their canonical string form.
        data: the payload; for JSON in structured mode, its compact serialization.
    """

    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    data: bytes = b""

    def attributes(self) -> dict[str, str]:
        """Every context attribute that is set, `specversion` and extensions included."""
        known = {
            **self.extensions,
            "specversion": "1.0",
            **{name: getattr(self, name) for name in (*REQUIRED, *OPTIONAL)},
        }
        return {name: value for name, value in known.items() if value is not None}

    def json(self) -> object:
        """Parse the data as JSON.

        Raises:
            EventInvalid: the data is not JSON, or nests too deep.
        """
        return strict_json.parse(self.data, what=f"the data of event {self.id!r}")


def is_event(headers: Mapping[str, str]) -> bool:
    """Whether a request with *headers* (names in any case) claims to carry CloudEvents."""
    names = {name.lower(): value for name, value in headers.items()}
    claimed = any(f"ce-{name}" in names for name in ("specversion", *REQUIRED))
    return claimed or _media_type(names).startswith("application/cloudevents")


def from_http(
    headers: Mapping[str, str], body: bytes, *, max_events: int = 1000
) -> tuple[CloudEvent, ...]:
    """Read the events of one HTTP message, in whichever content mode it uses.

    Header values may be the latin-1 text that WSGI hands out, or properly decoded.

    Raises:
        EventInvalid: broken JSON, context attributes that break the specification (the
            problems of an event are listed together), or a batch of more than *max_events*.
        UnsupportedMedia: a CloudEvents format other than JSON.
    """
    names = _lowercase(headers)
    media_type = _media_type(names)
    if media_type == STRUCTURED:
        return (_from_document(strict_json.parse(body)),)
    if media_type == BATCH:
        return _from_batch(strict_json.parse(body), max_events)
    if media_type.startswith("application/cloudevents"):
        raise UnsupportedMedia(
            f"content type {media_type[:80]!r} is not supported; send {STRUCTURED}, {BATCH} "
            "or binary mode (ce-* headers)"
        )
    return (_from_binary(names, body),)


def to_binary(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Headers and body of *event* in binary content mode."""
    headers = {
        f"ce-{name}": quote(value, safe=_HEADER_SAFE)
        for name, value in event.attributes().items()
        if name != "datacontenttype"
    }
    if event.datacontenttype is not None:
        headers["Content-Type"] = event.datacontenttype
    return headers, event.data


def to_structured(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Headers and body of *event* in structured content mode."""
    return {"Content-Type": STRUCTURED}, strict_json.serialize(to_document(event))


def to_batch(events: Iterable[CloudEvent]) -> tuple[dict[str, str], bytes]:
    """Headers and body of *events* in batched content mode."""
    documents = [to_document(event) for event in events]
    return {"Content-Type": BATCH}, strict_json.serialize(documents)


def to_document(event: CloudEvent) -> dict[str, object]:
    """Write *event* as a JSON object, as the JSON event format 1.0.2 describes it."""
    document: dict[str, object] = dict(event.attributes())
    if not event.data:
        return document
    try:
        document["data"] = event.json() if _is_json(event.datacontenttype) else event.data.decode()
    except (EventInvalid, UnicodeDecodeError):
        document["data_base64"] = base64.b64encode(event.data).decode()
    return document


def _lowercase(headers: Mapping[str, str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for name, value in headers.items():
        if names.setdefault(name.lower(), value) != value:
            raise EventInvalid(f"header {name[:80]!r} is sent twice, with different values")
    return names


def _from_binary(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    attributes: dict[str, object] = {}
    problems: list[str] = []
    for header, value in headers.items():
        if not header.startswith("ce-") or header == "ce-datacontenttype":
            continue
        name = header.removeprefix("ce-")
        try:
            attributes[name] = _header_value(name, value)
        except UnicodeDecodeError:
            problems.append(f"header {header[:80]} is not percent-encoded UTF-8")
    if problems:
        raise EventInvalid("not a CloudEvent 1.0: " + "; ".join(problems))
    attributes["datacontenttype"] = headers.get("content-type") or None
    return _event(attributes, body)


def _header_value(name: str, value: str) -> str:
    """Decode a header value; section 3.1.3.2: unquote first, then one round of percent-decoding."""
    raw = value
    if not value.isascii():
        # A sender that does not percent-encode sends UTF-8, which WSGI hands out as latin-1.
        try:
            raw = value.encode("latin-1").decode()
        except UnicodeError:
            raw = value
    if len(raw) > 1 and raw.startswith('"') and raw.endswith('"'):
        raw = _ESCAPED.sub(r"\1", raw[1:-1])
    if name != "subject":
        return unquote(raw, errors="strict")
    # Ceph RGW sends the object key as it is: where it cannot be what the section describes, it
    # is taken literally, because a legal key must not cost the event.
    try:
        decoded = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        return raw
    return decoded if is_legal(decoded) else raw


def _from_batch(documents: object, max_events: int) -> tuple[CloudEvent, ...]:
    if not isinstance(documents, list):
        raise EventInvalid(f"a batch is a JSON array, this is {kind(documents)}")
    if len(documents) > max_events:
        raise EventInvalid(f"the batch has {len(documents):,} events, the limit is {max_events:,}")
    events = []
    for index, document in enumerate(documents):
        try:
            events.append(_from_document(document))
        except EventInvalid as exc:
            raise EventInvalid(f"event {index} of the batch: {exc}") from exc
    return tuple(events)


def _from_document(document: object) -> CloudEvent:
    if not isinstance(document, dict):
        raise EventInvalid(f"an event is a JSON object, this is {kind(document)}")
    attributes: dict[str, object] = {str(name): value for name, value in document.items()}
    has_data = "data" in attributes
    data = attributes.pop("data", None)
    encoded = attributes.pop("data_base64", None)
    if encoded is not None:
        if data is not None:
            raise EventInvalid("data and data_base64 are both there; an event has only one")
        return _event(attributes, _decode_base64(encoded))
    content_type = attributes.get("datacontenttype")
    if not isinstance(content_type, str) or _is_json(content_type):
        if has_data:
            # JSON event format, section 3.1: without a content type the data is JSON.
            attributes["datacontenttype"] = content_type or "application/json"
        return _event(attributes, strict_json.serialize(data) if has_data else b"")
    if data is None:
        return _event(attributes, b"")
    if isinstance(data, str):
        return _event(attributes, _encode(data))
    # Section 3.1.2 leaves this to us; a JSON value can only have been meant as JSON.
    return _event(attributes, strict_json.serialize(data))


def _event(attributes: Mapping[str, object], data: bytes) -> CloudEvent:
    values, problems = validate(attributes)
    if problems:
        raise EventInvalid("not a CloudEvent 1.0: " + "; ".join(problems))
    return CloudEvent(
        id=values.pop("id"),
        source=values.pop("source"),
        type=values.pop("type"),
        subject=values.pop("subject", None),
        time=values.pop("time", None),
        datacontenttype=values.pop("datacontenttype", None),
        dataschema=values.pop("dataschema", None),
        extensions=values,
        data=data,
    )


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise EventInvalid("the data holds a lone surrogate, which is no text") from exc


def _decode_base64(encoded: object) -> bytes:
    if not isinstance(encoded, str):
        raise EventInvalid(f"data_base64 must be a string, not {kind(encoded)}")
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as exc:  # binascii.Error is one; so is a character outside ASCII
        raise EventInvalid(f"data_base64 is not base64: {exc}") from exc


def _is_json(content_type: str | None) -> bool:
    """Whether *content_type* is JSON; JSON event format, section 3.1, takes None as JSON."""
    if content_type is None:
        return True
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
