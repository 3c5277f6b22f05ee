import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.events.broker.backoff import EXPONENTIAL, LINEAR, Backoff, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0.2S", 0.2),
        ("PT0,5S", 0.5),
        ("PT1S", 1),
        ("PT1M", 60),
        ("PT1H30M", 5400),
        ("P1D", 86_400),
        ("P1W", 604_800),
        ("P1DT2H3M4.5S", 93_784.5),
        ("PT0S", 0),
    ],
)
def test_reads_iso_8601_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "1S", "PT1", "P1Y", "P1M", "PT-1S", "P1DT", "0.2"])
def test_refuses_what_is_no_fixed_duration(text):
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("policy", "waits"),
    [(EXPONENTIAL, [0.2, 0.4, 0.8, 1.6]), (LINEAR, pytest.approx([0.2, 0.4, 0.6, 0.8]))],
)
def test_waits_longer_each_time(policy, waits):
    backoff = Backoff(policy=policy)
    assert [backoff.wait(failures) for failures in (1, 2, 3, 4)] == waits


@pytest.mark.parametrize(
    ("retry_after", "wait"), [(None, 0.2), (0.1, 0.2), (5.0, 5.0), (9999.0, 60.0)]
)
def test_waits_as_long_as_the_subscriber_asks_within_the_limit(retry_after, wait):
    assert Backoff().wait(1, retry_after) == wait


def test_a_limit_of_nothing_ignores_retry_after():
    assert Backoff(retry_after_maximum=0).wait(1, 30.0) == 0.2


@given(
    st.sampled_from([EXPONENTIAL, LINEAR]),
    st.floats(0, 1e6),
    st.integers(1, 10**6),
    st.none() | st.floats(0, 1e9),
)
def test_never_waits_longer_than_the_longest(policy, delay, failures, retry_after):
    backoff = Backoff(policy=policy, delay=delay)
    assert 0 <= backoff.wait(failures, retry_after) <= backoff.longest
