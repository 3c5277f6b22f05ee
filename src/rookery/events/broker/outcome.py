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

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rookery.delivery.retry import is_retried, parse_retry_after
from rookery.errors import EventInvalid, UnsupportedMedia
from rookery.events.wire import CloudEvent, from_http, is_event

_SERVER_ERROR: Final = 500
_ACCEPTED: Final = 202
_BAD_GATEWAY: Final = 502


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why nothing came back.

    Attributes:
        final: whether the same request can never get through.
    """

    reason: str
    final: bool = False


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


def judge(answer: Answer | NoAnswer, now: datetime) -> Delivered | Failed:
    """Decide by *answer*; *now* is what a Retry-After date is counted from."""
    if isinstance(answer, NoAnswer):
        return Failed(_SERVER_ERROR, answer.reason, answer.reason.encode(), retry=not answer.final)
    if 200 <= answer.status < 300:  # noqa: PLR2004
        return _accepted(answer)
    return Failed(
        answer.status,
        f"answered {answer.status}",
        answer.body,
        retry=is_retried(answer.status),
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


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)
