"""Spans and moments as people write them on a command line."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from rookery.errors import RequestInvalid

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", re.ASCII)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_span(text: str) -> timedelta:
    """Read `90`, `90s`, `5m`, `2h`, `7d` or `4w`; a bare number is seconds.

    Raises:
        RequestInvalid: *text* is none of them.
    """
    found = _SPAN.fullmatch(text.strip())
    try:
        if found is not None:
            return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
    except OverflowError:
        pass
    raise RequestInvalid(f"a span of time is a number with s, m, h, d or w, not {text!r}")


def parse_moment(text: str, *, now: datetime) -> datetime:
    """Read an RFC 3339 time, a date, or a span before *now*; UTC where no offset is said.

    Raises:
        RequestInvalid: *text* is none of them.
    """
    try:
        return now - parse_span(text)
    except (RequestInvalid, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise RequestInvalid(
            f"a time is like 2026-01-31T12:00:00Z, 2026-01-31 or 2h (two hours ago), not {text!r}"
        ) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
