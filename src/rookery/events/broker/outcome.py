"""What a subscriber's answer means: Knative's delivery contract as one table.

| answer | meaning |
|---|---|
| 202 | delivered; a body is never a reply (data plane contract, "Derived (Reply) Events") |
| other 2xx, empty | delivered |
| other 2xx, CloudEvent or batch | delivered, and the events re-enter the broker |
| other 2xx, any other body | failed as 502, retried: what Knative's own broker does |
| 404, 408, 409, 429, 5xx | failed, retried |
| no answer: refused, reset, timeout | failed, retried |
| 3xx, other 4xx | failed for good |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rookery.delivery.connection import Answer, NoAnswer
from rookery.delivery.retry import is_retried, parse_retry_after
from rookery.errors import EventInvalid, UnsupportedMedia
from rookery.events.attributes import legal
from rookery.events.wire import CloudEvent, from_http, is_event

_SERVER_ERROR: Final = 500
_ACCEPTED: Final = 202
_UNAUTHORIZED: Final = 401
_BAD_GATEWAY: Final = 502
# Our own error bodies are shorter; of others' the beginning will do.
_READ_BYTES: Final = 4096
_SAID_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Delivered:
    """The subscriber has the event; *replies* re-enter the broker."""

    replies: tuple[CloudEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The subscriber does not have the event.

    Attributes:
        code: the HTTP status; 500 where there was no answer, as Knative reports it.
        reason: one line for people.
        body: what the subscriber said, for the dead letter.
        retry: whether another attempt can help.
        retry_after: seconds the subscriber asked for, or None.
    """

    code: int
    reason: str
    body: bytes = b""
    retry: bool = True
    retry_after: float | None = None


def judge(answer: Answer | NoAnswer, now: datetime, *, replies: bool = True) -> Delivered | Failed:
    """Decide by *answer*; *now* is what a Retry-After date is counted from.

    Without *replies*, every 2xx says delivered, and its body nothing; and 401 says nothing about
    the event, which waits until somebody has mended our token.
    """
    if isinstance(answer, NoAnswer):
        return Failed(_SERVER_ERROR, answer.reason, answer.reason.encode(), retry=not answer.final)
    if 200 <= answer.status < 300:  # noqa: PLR2004
        return _accepted(answer) if replies else Delivered()
    return Failed(
        answer.status,
        f"answered {answer.status}{_said(answer.body)}",
        answer.body,
        retry=is_retried(answer.status) or (answer.status == _UNAUTHORIZED and not replies),
        retry_after=parse_retry_after(_header(answer.headers, "retry-after"), now=now),
    )


def _accepted(answer: Answer) -> Delivered | Failed:
    if answer.status == _ACCEPTED:
        return Delivered()
    if is_event(answer.headers):
        try:
            return Delivered(from_http(answer.headers, answer.body))
        except (EventInvalid, UnsupportedMedia) as exc:
            return Failed(
                _BAD_GATEWAY, f"answered {answer.status} with a broken reply: {exc}", answer.body
            )
    if not answer.body:
        return Delivered()
    return Failed(
        _BAD_GATEWAY,
        f"answered {answer.status} with a body that is no CloudEvent; "
        "a reply is a CloudEvent or empty",
        answer.body,
    )


def _said(body: bytes) -> str:
    """What an error's *body* says, on one line: `": CODE: MESSAGE"` where it is one of ours."""
    text = body[:_READ_BYTES].decode(errors="replace")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        found = [str(fields[name]) for name in ("error", "message") if fields.get(name)]
        text = ": ".join(found) or text
    line = legal(" ".join(text.split()))
    if len(line) > _SAID_CHARS:
        line = f"{line[:_SAID_CHARS]}…"
    return f": {line}" if line else ""


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)
