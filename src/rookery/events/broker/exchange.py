"""HTTP requests and responses of the broker, without a framework: this is its hot path."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from rookery import status as statuses
from rookery.errors import EventTooLarge, RequestInvalid, RookeryError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
AFTER_HEADER: Final = "Rookery-After"


@dataclass(frozen=True, slots=True)
class Response:
    """What is sent back."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: Iterable[bytes] = ()


def answer(
    body: bytes,
    media_type: str,
    *,
    status: str = "200 OK",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send *body*, with its length."""
    pairs = (("Content-Type", media_type), ("Content-Length", str(len(body))))
    return Response(status, (*pairs, *(headers or {}).items()), (body,))


def answer_json(value: object, *, status: str = "200 OK") -> Response:
    """Send *value* as JSON."""
    return answer(json.dumps(value).encode() + b"\n", JSON, status=status)


def empty(status: str, **headers: str) -> Response:
    """Send no body."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status, (("Content-Length", "0"), *pairs))


def refusal(error: RookeryError) -> Response:
    """Send *error*: its code and its message, and when to come back where that helps."""
    status = statuses.status_of(error)
    return answer(
        json.dumps(statuses.body_of(error)).encode(),
        JSON,
        status=f"{status.value} {status.phrase}",
        headers=statuses.headers_of(error),
    )


def refuse(status: str, code: str, message: str, **headers: str) -> Response:
    """Send an error that only HTTP knows."""
    body = json.dumps({"error": code, "message": message}).encode()
    return answer(body, JSON, status=status, headers=headers)


def headers_of(environ: "WSGIEnvironment") -> dict[str, str]:
    """Return the headers that can belong to an event, names in lower case."""
    headers = {
        f"ce-{name[8:].lower()}": value
        for name, value in environ.items()
        if name.startswith("HTTP_CE_")
    }
    if content_type := environ.get("CONTENT_TYPE"):
        headers["content-type"] = content_type
    return headers


def body_of(environ: "WSGIEnvironment", max_bytes: int) -> bytes:
    """Read the request body.

    Raises:
        EventTooLarge: it is longer than *max_bytes*: by its length, or found while reading.
        RequestInvalid: it is shorter than it says.
    """
    declared: str = environ.get("CONTENT_LENGTH") or ""
    if declared and not (declared.isascii() and declared.isdecimal()):
        raise RequestInvalid(f"Content-Length must be a number, not {declared!r}")
    # Without a length only a server that ends the input itself can be read to the end.
    if not declared and not environ.get("wsgi.input_terminated"):
        return b""
    if declared and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    body: bytes = environ["wsgi.input"].read(int(declared) if declared else max_bytes + 1)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if declared and len(body) < int(declared):
        raise RequestInvalid(f"the body ended after {len(body)} of {declared} bytes")
    return body


def query_of(environ: "WSGIEnvironment", allowed: frozenset[str]) -> dict[str, str]:
    """Return the query's fields.

    Raises:
        RequestInvalid: a field that is not *allowed*: a misspelled filter would pass everything.
    """
    fields = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    if unknown := sorted(fields.keys() - allowed):
        raise RequestInvalid(
            f"unknown query field {unknown[0]!r}; known are {', '.join(sorted(allowed))}"
        )
    return fields


def timestamp_of(value: str) -> float:
    """Return the query field since's *value* as seconds since the epoch.

    Raises:
        RequestInvalid: it is no RFC 3339 time with a zone.
    """
    try:
        # A "+" that nobody encoded arrives as a space.
        time = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise RequestInvalid(f"since must be an RFC 3339 time with its zone, not {value!r}")
    return time.timestamp()


def _too_large(max_bytes: int) -> EventTooLarge:
    return EventTooLarge(
        f"the request body is too long, the limit is {max_bytes:,} bytes; "
        "send a reference to large data, or raise --max-event-bytes"
    )
