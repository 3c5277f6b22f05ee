"""What a dead-letter event keeps, read back: see `result.deadletter`, which writes it."""

from collections.abc import Mapping
from dataclasses import dataclass

from rookery.errors import EventInvalid
from rookery.events import strict_json
from rookery.events.wire import STRUCTURED, CloudEvent, from_http


@dataclass(frozen=True, slots=True)
class Kept:
    """What could not be processed, and why.

    Attributes:
        reason: the error's code and message, for people.
        status: the HTTP status it was answered with; 0 where none was.
        original: the event as it came; its data is the beginning, where it was cut.
        problem: why the original cannot be sent again; None where it can.
    """

    reason: str
    status: int = 0
    original: CloudEvent | None = None
    problem: str | None = None


def read_deadletter(letter: CloudEvent) -> Kept:
    """Read the data of *letter*, a `dev.rookery.inference.deadletter.v1` event of whoever."""
    try:
        data = letter.json()
    except EventInvalid as exc:
        return Kept("unknown", problem=str(exc))
    fields: Mapping[str, object] = data if isinstance(data, dict) else {}
    error = fields.get("error")
    error = error if isinstance(error, dict) else {}
    status = error.get("status")
    original, problem = _original(fields)
    return Kept(
        reason=f"{error.get('code', 'unknown')}: {error.get('message', '')}",
        status=status if isinstance(status, int) else 0,
        original=original,
        problem=problem,
    )


def _original(fields: Mapping[str, object]) -> tuple[CloudEvent | None, str | None]:
    if "event" not in fields:
        return None, "it keeps a body that was no event"
    try:
        headers, body = {"Content-Type": STRUCTURED}, strict_json.serialize(fields["event"])
        (original,) = from_http(headers, body)
    except EventInvalid as exc:
        return None, f"the event it keeps cannot be read: {exc}"
    if "truncated" in fields:
        return original, "the data of the event it keeps was too long, and is cut"
    return original, None
