from datetime import UTC, datetime, timedelta

import pytest

from rookery.errors import RequestInvalid
from rookery.reconcile.moments import parse_moment, parse_span

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("0s", 0), ("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("2h", 7200),
        ("7d", 604_800), ("1w", 604_800), (" 5 m ", 300),
    ],
)  # fmt: skip
def test_a_span_is_a_number_and_a_unit(text, seconds):
    assert parse_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "m", "-5m", "5 minutes", "5M", "1e3s", "٣s", "9" * 400, "inf", "800000d"]
)
def test_anything_else_is_no_span(text):
    with pytest.raises(RequestInvalid, match="span"):
        parse_span(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("2026-01-31T11:00:00Z", NOW - timedelta(hours=1)),
        ("2026-01-31T11:00:00", NOW - timedelta(hours=1)),
        ("2026-01-31", NOW - timedelta(hours=12)),
        ("20260131", NOW - timedelta(hours=12)),
        ("2026-01-31T12:00:00+02:00", NOW - timedelta(hours=2)),
    ],
)  # fmt: skip
def test_a_moment_is_a_time_or_a_span_ago(text, moment):
    assert parse_moment(text, now=NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "31.01.2026", "2026-13-01", "999999w", "2026", "90"]
)
def test_anything_else_is_no_moment(text):
    with pytest.raises(RequestInvalid, match="2h"):
        parse_moment(text, now=NOW)
