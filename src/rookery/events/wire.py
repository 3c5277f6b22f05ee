"""CloudEvents 1.0.2 on HTTP: binary, structured and batched content mode, to values and back.

Our own codec, because the SDK release that functions-framework pins (1.12) does not
percent-encode header values, knows no batches, and fills in or echoes what it should refuse. The
tests use that SDK as the peer on the other side.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote

from rookery.errors import EventInvalid, UnsupportedMedia

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

_REQUIRED: Final = ("id", "source", "type")
_OPTIONAL: Final = ("subject", "time", "datacontenttype", "dataschema")
_EXTENSION_NAME: Final = re.compile(r"[a-z0-9]+")
# HTTP protocol binding, section 3.1.3.2: everything else is percent-encoded as UTF-8. Space is
# encoded too, so that a value survives header whitespace trimming.
_HEADER_SAFE: Final = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')


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
            "specversion": "1.0",
            **{name: getattr(self, name) for name in (*_REQUIRED, *_OPTIONAL)},
            **self.extensions,
        }
        return {name: value for name, value in known.items() if value is not None}

    def json(self) -> object:
        """Parse the data as JSON.

        Raises:
            EventInvalid: the data is not JSON.
        """
        try:
            parsed: object = json.loads(self.data)
        except (ValueError, RecursionError) as exc:
            raise EventInvalid(f"the data of event {self.id!r} is not JSON: {exc}") from exc
        return parsed


def is_event(headers: Mapping[str, str]) -> bool:
    """Whether a request with *headers* (names in any case) claims to carry CloudEvents."""
    names = {name.lower(): value for name, value in headers.items()}
    return any(f"ce-{name}" in names for name in ("specversion", *_REQUIRED)) or _media_type(
        names
    ) in {STRUCTURED, BATCH}


def from_http(headers: Mapping[str, str], body: bytes) -> tuple[CloudEvent, ...]:
    """Read the events of one HTTP message, in whichever content mode it uses.

    Raises:
        EventInvalid: broken JSON, or context attributes that break the specification; all
            problems of an event are listed.
        UnsupportedMedia: a CloudEvents format other than JSON.
    """
    names = {name.lower(): value for name, value in headers.items()}
    media_type = _media_type(names)
    if media_type == STRUCTURED:
        return (_from_document(_parse(body)),)
    if media_type == BATCH:
        documents = _parse(body)
        if not isinstance(documents, list):
            raise EventInvalid(f"a batch is a JSON array, this is {_kind(documents)}")
        return tuple(_from_document(document) for document in documents)
    if media_type.startswith("application/cloudevents"):
        raise UnsupportedMedia(
            f"content type {media_type!r} is not supported; send {STRUCTURED}, {BATCH} "
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
    return {"Content-Type": STRUCTURED}, _dump(to_document(event))


def to_batch(events: Iterable[CloudEvent]) -> tuple[dict[str, str], bytes]:
    """Headers and body of *events* in batched content mode."""
    return {"Content-Type": BATCH}, _dump([to_document(event) for event in events])


def to_document(event: CloudEvent) -> dict[str, object]:
    """Write *event* as a JSON object, as the JSON event format 1.0.2 describes it."""
    document: dict[str, object] = dict(event.attributes())
    if not event.data:
        return document
    if _is_json(event.datacontenttype):
        try:
            document["data"] = json.loads(event.data)
        except (ValueError, RecursionError):
            document["data_base64"] = base64.b64encode(event.data).decode()
        return document
    try:
        document["data"] = event.data.decode()
    except UnicodeDecodeError:
        document["data_base64"] = base64.b64encode(event.data).decode()
    return document


def _from_binary(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    attributes: dict[str, object] = {}
    for name, value in headers.items():
        if name.startswith("ce-"):
            attributes[name[3:]] = unquote(value, errors="replace")
    attributes.pop("datacontenttype", None)
    if "content-type" in headers:
        attributes["datacontenttype"] = headers["content-type"]
    return _event(attributes, body)


def _from_document(document: object) -> CloudEvent:
    if not isinstance(document, dict):
        raise EventInvalid(f"an event is a JSON object, this is {_kind(document)}")
    attributes = {str(name): value for name, value in document.items()}
    data = attributes.pop("data", None)
    encoded = attributes.pop("data_base64", None)
    if encoded is not None:
        return _event(attributes, _decode_base64(encoded))
    if data is None:
        return _event(attributes, b"")
    content_type = attributes.get("datacontenttype")
    if isinstance(data, str) and isinstance(content_type, str) and not _is_json(content_type):
        return _event(attributes, data.encode())
    # JSON event format, section 3.1: without a content type the data is JSON.
    attributes.setdefault("datacontenttype", "application/json")
    return _event(attributes, _dump(data))


def _event(attributes: dict[str, object], data: bytes) -> CloudEvent:
    problems: list[str] = []
    specversion = attributes.pop("specversion", None)
    if specversion != "1.0":
        problems.append(f"specversion must be '1.0', not {specversion!r}")
    values: dict[str, str] = {}
    for name, value in attributes.items():
        if value is None:
            continue
        text = _canonical(value)
        if text is None:
            problems.append(f"{name} must be a string, number or boolean, not {_kind(value)}")
        elif name in {*_REQUIRED, "subject", "dataschema"} and not text:
            problems.append(f"{name} must not be empty")
        elif not _EXTENSION_NAME.fullmatch(name):
            problems.append(f"{name!r} is no attribute name: only a-z and 0-9 are allowed")
        else:
            values[name] = text
    problems.extend(f"{name} is missing" for name in _REQUIRED if attributes.get(name) is None)
    if "time" in values and not _is_timestamp(values["time"]):
        problems.append(f"time must be an RFC 3339 timestamp, not {values['time']!r}")
    if problems:
        raise EventInvalid("not a CloudEvent 1.0: " + "; ".join(problems))
    known = {name: values.pop(name, None) for name in _OPTIONAL}
    required = {name: values.pop(name) for name in _REQUIRED}
    return CloudEvent(**required, **known, extensions=values, data=data)  # type: ignore[arg-type]


def _canonical(value: object) -> str | None:
    """The canonical string form of an attribute value, or None when it has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else None


def _is_timestamp(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _decode_base64(encoded: object) -> bytes:
    if not isinstance(encoded, str):
        raise EventInvalid(f"data_base64 must be a string, not {_kind(encoded)}")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as exc:
        raise EventInvalid(f"data_base64 is not base64: {exc}") from exc


def _parse(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise EventInvalid(f"the body is not JSON: {exc}") from exc
    return parsed


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _is_json(content_type: str | None) -> bool:
    """Whether *content_type* is JSON; JSON event format, section 3.1, takes None as JSON."""
    if content_type is None:
        return True
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "a string", type(None): "null"}
    return kinds.get(type(value), f"a {type(value).__name__}")
