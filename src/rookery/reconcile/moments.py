"""Spans and moments as people write them on a command line."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from rookery.errors import RequestInvalid

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", re.ASCII)
_LONGEST: Final = timedelta(days=36_500)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_span(text: str) -> timedelta:
    """Read `90`, `90s`, `5m`, `2h`, `7d` or `4w`, up to a century; a bare number is seconds.

    Raises:
        RequestInvalid: *text* is none of them.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is not None:
        seconds = float(found[1]) * _SECONDS[found[2]]
        if seconds <= _LONGEST.total_seconds():
            return timedelta(seconds=seconds)
    raise RequestInvalid(f"a span of time is a number with s, m, h, d or w, not {text!r}")


def parse_moment(text: str, *, now: datetime) -> datetime:
    """Read an RFC 3339 time, a date, or a span before *now*; UTC where no offset is said.

    Raises:
        RequestInvalid: *text* is none of them.
    """
    # A bare number would read 20260131, which is a date, as seconds.
    if text.strip()[-1:].isalpha():
        with suppress(RequestInvalid):
            return now - parse_span(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise RequestInvalid(
            f"a time is like 2026-01-31T12:00:00Z, 2026-01-31 or 2h (two hours ago), not {text!r}"
        ) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
