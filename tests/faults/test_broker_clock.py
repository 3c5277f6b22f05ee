"""The wall clock set back and forward by an hour, under a running broker and over a restart."""

import os
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path

import pytest

from broker_processes import made, trigger
from misbehaving import answers

HOURS = {"-1h": timedelta(hours=-1), "+1h": timedelta(hours=1)}
UNAVAILABLE = answers(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def wall_clock(tmp_path):
    """Set the wall clock of the broker: wall_clock("-1h"); its monotonic clock goes on."""
    found = [str(file) for file in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    if not found:
        reason = "libfaketime is not installed: sudo apt-get install faketime"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    file = tmp_path / "clock"

    def set_to(step):
        file.write_text(step + "\n")

    set_to("+0")
    set_to.environ = {
        "LD_PRELOAD": found[0],
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    return set_to


def step_by(step, wall_clock, broker):
    """Set the broker's clock, and wait until its answers are dated by it."""
    wall_clock(step)
    expected = datetime.now(UTC) + HOURS[step]

    def stepped():
        answer = broker.ask("GET", "/health/liveness")
        return abs(parsedate_to_datetime(answer.headers["Date"]) - expected) < timedelta(minutes=5)

    broker.wait_until(stepped, "the step of the clock")


@pytest.mark.parametrize("step", ["-1h", "+1h"])
def test_a_step_delays_no_delivery_and_hurries_no_retry(broker, misbehave, wall_clock, step):
    subscriber = misbehave(UNAVAILABLE, 2)
    running = broker(
        trigger("t", subscriber.url, backoffPolicy="linear", backoffDelay="PT1S"),
        environ=wall_clock.environ,
    )
    running.start()
    running.post(made("1"))
    running.wait_until(lambda: subscriber.requests == 1, "the first attempt")
    step_by(step, wall_clock, running)
    running.until_settled(seconds=20)
    first, second = (after - before for before, after in pairwise(subscriber.times))
    assert first >= 0.9
    assert second >= 1.9
    running.post(made("2"))
    running.until_settled(seconds=10)
    assert subscriber.requests == 4


@pytest.mark.parametrize("step", ["-1h", "+1h"])
def test_what_waits_is_delivered_soon_after_a_restart_in_another_hour(
    broker, misbehave, wall_clock, step
):
    subscriber = misbehave(UNAVAILABLE, 1)
    running = broker(trigger("t", subscriber.url, backoffDelay="PT50S"), environ=wall_clock.environ)
    running.start()
    running.post(made("1"))
    running.wait_until(
        lambda: running.metric('rookery_broker_retried_total{trigger="t"}') == 1, "its failure"
    )
    running.kill()
    wall_clock(step)
    running.start()
    running.until_settled(seconds=20)
    assert subscriber.requests == 2


@pytest.mark.parametrize("step", ["-1h", "+1h"])
def test_a_step_forgets_nothing_and_replay_finds_what_came_since(
    broker, subscribe, wall_clock, step
):
    subscriber = subscribe()
    running = broker(trigger("t", subscriber.url), environ=wall_clock.environ)
    running.start()
    running.post(made("before"))
    running.until_settled()
    step_by(step, wall_clock, running)
    since = datetime.now(UTC) + HOURS[step] - timedelta(seconds=5)
    running.post(made("after"))
    running.until_settled()
    answer = running.ask("POST", f"/replay?trigger=t&since={since:%Y-%m-%dT%H:%M:%SZ}")
    # Too much is harmless; what was set back cannot be told from what came before.
    assert answer.json() == {"queued": 1 if step == "+1h" else 2}
    running.until_settled()
    assert subscriber.ids.count("after") == 2
    running.kill()
    running.start()
    assert [event["id"] for event in running.events()] == ["before", "after"]
