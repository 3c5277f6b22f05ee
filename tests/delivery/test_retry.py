import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.delivery.retry import RetryPolicy, is_retried, parse_retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
POLICY = RetryPolicy(attempts=5, base_seconds=0.2, cap_seconds=5, total_seconds=10)


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 501, 502, 503, 504, 599])
def test_retried(status):
    assert is_retried(status)


@pytest.mark.parametrize("status", [300, 301, 302, 307, 400, 401, 403, 410, 413, 415, 422])
def test_final(status):
    assert not is_retried(status)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        (" 120 ", 120),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("١٢", None),
        ("Mon, 1 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 1 Jan 2026 00:00:99999999999999999999 GMT", None),
        ("Mon, 1 Jan 2026 00:00:00 +99999999999999", None),
        ("Mon, 99 Jan 2026 00:00:00 GMT", None),
        ("1 Jan 0001 00:00:00 +2359", 0),
        ("9" * 5000, math.inf),
    ],
)
def test_retry_after(value, seconds):
    assert parse_retry_after(value, now=NOW) == seconds


NUMBERS = st.integers().map(str) | st.integers(0, 59).map("{:02}".format)
DATES = st.builds(
    "{} {} {} {}:{}:{} {}".format,
    NUMBERS,
    st.sampled_from(["Jan", "feb", "December", "13"]),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.sampled_from(["GMT", "-0000", "EST", ""]) | st.integers().map("{:+}".format),
)


@given(st.text() | DATES)
def test_any_retry_after_is_ignored_or_a_time_to_come(value):
    seconds = parse_retry_after(value, now=NOW)

    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.2), (2, 0.4), (3, 0.8), (10_000, 5)])
def test_the_ceiling_doubles_up_to_the_cap(failures, seconds):
    assert POLICY.ceiling(failures) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("pause", "seconds"),
    [
        ({"failures": 1, "elapsed": 0, "fraction": 0.0}, 0.0),
        ({"failures": 1, "elapsed": 0, "fraction": 0.5}, 0.1),
        ({"failures": 4, "elapsed": 0, "fraction": 0.5}, 0.8),
        ({"failures": 5, "elapsed": 0, "fraction": 0.5}, None),
        ({"failures": 1, "elapsed": 10, "fraction": 0.5}, None),
        ({"failures": 1, "elapsed": 0, "fraction": 0.5, "retry_after": 3.0}, 3.0),
        ({"failures": 1, "elapsed": 0, "fraction": 0.5, "retry_after": 3600.0}, 5.0),
        ({"failures": 1, "elapsed": 8, "fraction": 0.5, "retry_after": 3.0}, None),
        ({"failures": 1, "elapsed": 0, "fraction": 0.5, "retry_after": 0.0}, 0.1),
    ],
)
def test_the_pause_before_the_next_attempt(pause, seconds):
    found = POLICY.pause(**pause)

    assert found == (None if seconds is None else pytest.approx(seconds))


@given(
    failures=st.integers(1, 10_000),
    elapsed=st.floats(0, 100),
    fraction=st.floats(0, 1, exclude_max=True),
    retry_after=st.none() | st.floats(0, 1e9),
)
def test_no_attempt_starts_after_the_total_time(failures, elapsed, fraction, retry_after):
    found = POLICY.pause(failures, elapsed=elapsed, fraction=fraction, retry_after=retry_after)

    assert found is None or (0 <= found <= 5 and elapsed + found <= 10 and failures < 5)
