"""A full disk under the journal: a small file system of its own, filled and freed again."""

import os
import subprocess
import threading

import pytest

from broker_processes import made, trigger

DISK_BYTES = 6 * 1024 * 1024
BALLAST_BYTES = 3 * 1024 * 1024
EVENT_BYTES = 20_000

pytestmark = pytest.mark.end_to_end


def mount(folder):
    """Mount a small file system; skip the test where that cannot be, and fail in CI."""
    if os.geteuid() != 0:
        reason = "mounting a small file system needs root"
    else:
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        reason = f"no small file system can be mounted here: {done.stderr.strip()}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MiB, half of it taken by a file that can be removed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder)
    try:
        (folder / "ballast").write_bytes(bytes(BALLAST_BYTES))
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def full(small_disk, broker, subscribe):
    """A broker whose disk has just become full, with deliveries pending."""
    released = threading.Event()
    subscriber = subscribe(lambda _: 204 if released.wait(60) else 503)
    running = broker(
        trigger("t", subscriber.url, backoffDelay="PT0.05S", timeout="PT90S"),
        journal=small_disk / "broker.db",
    )
    running.start()
    accepted, refused = fill(running)
    assert accepted, f"the disk is too small for anything\n{running.log()}"
    yield running, subscriber, released, accepted, refused
    released.set()


def fill(broker, start=0):
    """Post until events are refused; return the ids of both kinds."""
    ids = {202: [], 503: []}
    for number in range(start, start + 1000):
        id_ = str(number)
        ids[broker.post(made(id_, data=os.urandom(EVENT_BYTES)))].append(id_)
        if len(ids[503]) == 3:
            return ids[202], ids[503]
    pytest.fail("the disk never became full")


def test_a_full_disk_is_told_and_nothing_is_taken_in(full):
    broker, _, _, accepted, refused = full
    answer = broker.ask(
        "POST", "/", bytes(EVENT_BYTES),
        {"ce-specversion": "1.0", "ce-id": "x", "ce-source": "/x", "ce-type": "test.happened"},
    )  # fmt: skip
    assert answer.status == 503
    assert "Retry-After" in answer.headers
    assert answer.json()["error"] == "JournalUnavailable"
    assert "full; free some disk space" in answer.json()["message"]
    ready = broker.ask("GET", "/health/readiness")
    assert ready.status == 503
    assert "free some disk space" in ready.json()["status"]
    assert broker.status("/health/liveness") == 200  # a restart would free nothing
    assert {event["id"] for event in broker.events()} == set(accepted)
    assert set(accepted).isdisjoint(refused)


def test_deliveries_go_on_while_the_disk_is_full_and_none_is_repeated(full):
    broker, subscriber, released, accepted, _ = full
    released.set()
    broker.wait_until(lambda: set(accepted) <= set(subscriber.ids), "the deliveries")
    assert len(subscriber.ids) == len(accepted)


def test_it_recovers_by_itself_when_there_is_room_again(full, small_disk):
    broker, subscriber, released, accepted, refused = full
    (small_disk / "ballast").unlink()
    broker.wait_until(lambda: broker.status("/health/readiness") == 200, "readiness")
    assert {broker.post(made(id_, data=bytes(EVENT_BYTES))) for id_ in refused} == {202}
    released.set()
    broker.until_settled()
    assert sorted(subscriber.ids) == sorted(accepted + refused)
    assert broker.triggers()["t"]["dead"] == 0


def test_kill_9_on_a_full_disk_loses_nothing_that_was_accepted(full, small_disk):
    broker, subscriber, released, accepted, _ = full
    released.set()
    broker.kill()
    (small_disk / "ballast").unlink()
    broker.start()
    broker.until_settled()
    assert set(accepted) <= set(subscriber.ids)
    assert {event["id"] for event in broker.events()} == set(accepted)


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_where_nothing_can_be_mounted_these_tests_fail_in_ci(monkeypatch, tmp_path, ci, outcome):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(outcome, match="needs root"):
        mount(tmp_path)
