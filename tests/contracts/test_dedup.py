"""What every Dedup keeps: one suite, run on memory and on each store that processes share."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from rookery.dedup.leases import SharedWindow
from rookery.dedup.ledger import Standing
from rookery.errors import ImageUndecodable
from rookery.events.wire import CloudEvent

DEADLINE = 30
TTL = 60.0
LEASE = 5.0


class Work:
    """A computation that counts its runs, and can be held until it is released."""

    def __init__(self, name="1", *, held=False, error=None):
        self.name = name
        self.runs = 0
        self.started = threading.Event()
        self.released = threading.Event()
        self.error = error
        if not held:
            self.released.set()

    def __call__(self):
        self.runs += 1
        self.started.set()
        assert self.released.wait(DEADLINE)
        if self.error is not None:
            raise self.error
        return result(self.name)


def result(name="1"):
    return CloudEvent(
        id=name,
        source="/rookery/functions/classify",
        type="dev.rookery.inference.completed.v1",
        subject="a b+é%/x.jpg",
        time="2026-01-31T12:00:00.123Z",
        datacontenttype="application/json",
        dataschema="urn:rookery:schema:inference.completed.v1",
        extensions={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        data='{"top_prediction":[["Brünnich\'s guillemot"]],"probability":0.12345678901}'.encode(),
    )


# --- one window


def test_a_first_call_computes(windows):
    assert windows.window.run("k", Work()) == (result(), False)


def test_a_repeat_is_what_was_computed(windows):
    work = Work()
    windows.window.run("k", work)
    assert windows.window.run("k", work) == (result(), True)
    assert work.runs == 1


def test_another_key_is_computed(windows):
    windows.window.run("k", Work("1"))
    assert windows.window.run("l", Work("2")) == (result("2"), False)


def test_a_result_is_remembered_until_its_time_is_over(windows):
    windows.window.run("k", Work())
    windows.pass_time(TTL - 2)
    assert windows.window.run("k", Work())[1] is True
    windows.pass_time(2.1)
    assert windows.window.run("k", Work())[1] is False


def test_asking_does_not_make_a_result_last_longer(windows):
    windows.window.run("k", Work())
    windows.pass_time(TTL - 20)
    windows.window.run("k", Work())
    windows.pass_time(TTL - 20)
    assert windows.window.run("k", Work())[1] is False


def test_a_failure_is_raised_and_not_remembered(windows):
    with pytest.raises(ImageUndecodable):
        windows.window.run("k", Work(error=ImageUndecodable("broken")))
    assert windows.window.run("k", Work())[1] is False


def test_equals_at_once_share_one_computation(windows):
    work = Work(held=True)
    with ThreadPoolExecutor(9) as pool:
        calls = [pool.submit(windows.window.run, "k", work) for _ in range(9)]
        assert work.started.wait(DEADLINE)
        work.released.set()
        answers = [call.result(DEADLINE) for call in calls]
    assert work.runs == 1
    assert sorted(repeat for _, repeat in answers) == [False] + [True] * 8


def test_other_keys_do_not_wait(windows):
    held = Work(held=True)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(windows.window.run, "slow", held)
        assert held.started.wait(DEADLINE)
        assert windows.window.run("quick", Work())[1] is False
        held.released.set()
        slow.result(DEADLINE)


# --- a ledger that processes share


@pytest.fixture
def pair(ledgers):
    """Two ledgers on one store."""
    return ledgers.open(), ledgers.open()


def test_one_claims_and_the_other_is_told_so(pair):
    ours, theirs = pair
    assert ours.claim("k") is Standing.MINE
    assert theirs.claim("k") is Standing.HELD
    assert theirs.claim("other") is Standing.MINE


def test_a_claim_is_made_anew_by_its_owner(ledgers, pair):
    ours, theirs = pair
    ours.claim("k")
    ledgers.pass_time(LEASE - 2)
    assert ours.claim("k") is Standing.MINE
    ledgers.pass_time(LEASE - 2)
    assert theirs.claim("k") is Standing.HELD


def test_a_claim_ends_by_itself(ledgers, pair):
    ours, theirs = pair
    ours.claim("k")
    ledgers.pass_time(LEASE + 0.1)
    assert theirs.claim("k") is Standing.MINE
    assert ours.claim("k") is Standing.HELD


def test_what_one_settles_all_know(pair):
    ours, theirs = pair
    ours.claim("k")
    ours.settle("k", b"result")
    assert [ours.claim("k"), theirs.claim("k")] == [b"result", b"result"]


def test_what_is_given_up_can_be_claimed(pair):
    ours, theirs = pair
    ours.claim("k")
    ours.settle("k", None)
    assert theirs.claim("k") is Standing.MINE


def test_nobody_gives_up_the_claim_of_another(pair):
    ours, theirs = pair
    ours.claim("k")
    theirs.settle("k", None)
    assert theirs.claim("k") is Standing.HELD


def test_giving_up_forgets_no_result(pair):
    ours, theirs = pair
    theirs.settle("k", b"result")
    ours.settle("k", None)
    assert ours.claim("k") == b"result"


def test_a_late_result_is_as_good_as_any(ledgers, pair):
    ours, theirs = pair
    ours.claim("k")
    ledgers.pass_time(LEASE + 0.1)
    theirs.claim("k")
    ours.settle("k", b"late")
    assert theirs.claim("k") == b"late"


def test_a_clock_that_is_set_back_makes_no_result_immortal(ledgers, pair):
    ours, theirs = pair
    ours.settle("k", b"result")
    ledgers.set_back(3600)
    assert theirs.claim("k") == b"result"
    ledgers.pass_time(TTL - 2)
    assert theirs.claim("k") == b"result"
    ledgers.pass_time(2.1)
    assert theirs.claim("k") is Standing.MINE


def test_a_clock_that_is_set_back_makes_no_claim_immortal(ledgers, pair):
    ours, theirs = pair
    ours.claim("k")
    ledgers.set_back(3600)
    assert theirs.claim("k") is Standing.HELD
    ledgers.pass_time(LEASE + 0.1)
    assert theirs.claim("k") is Standing.MINE


@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_bytes_come_back_as_they_were(pair, size):
    ours, theirs = pair
    written = bytes(range(256)) * (size // 256 + 1)
    ours.settle("k", written[:size])
    assert theirs.claim("k") == written[:size]


# --- windows of two replicas


@pytest.fixture
def replica(ledgers):
    """Open windows on one store, as replicas do: replica(scope)."""
    with ExitStack() as opened:

        def open_(scope="scope"):
            window = SharedWindow(ledgers.open(), name="store", scope=scope, lease_seconds=LEASE)
            opened.callback(window.close)
            return window

        yield open_


def test_a_replica_knows_what_another_computed(replica):
    replica().run("k", Work())
    assert replica().run("k", Work("other")) == (result(), True)


def test_a_replica_waits_for_what_another_computes(replica):
    work, unwanted = Work(held=True), Work("unwanted")
    first, second = replica(), replica()
    with ThreadPoolExecutor(2) as pool:
        computing = pool.submit(first.run, "k", work)
        assert work.started.wait(DEADLINE)
        waiting = pool.submit(second.run, "k", unwanted)
        work.released.set()
        assert computing.result(DEADLINE) == (result(), False)
        assert waiting.result(DEADLINE) == (result(), True)
    assert unwanted.runs == 0


def test_when_one_fails_the_other_that_waits_computes(replica):
    broken, work = Work(held=True, error=ImageUndecodable("broken")), Work()
    first, second = replica(), replica()
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(first.run, "k", broken)
        assert broken.started.wait(DEADLINE)
        waiting = pool.submit(second.run, "k", work)
        broken.released.set()
        assert failing.exception(DEADLINE) is broken.error
        assert waiting.result(DEADLINE) == (result(), False)


def test_another_scope_is_another_window(replica):
    replica("classify, model 1").run("k", Work("1"))
    assert replica("classify, model 2").run("k", Work("2")) == (result("2"), False)


# --- processes

CHILD = """
import sys
from pathlib import Path
from rookery.dedup import redis
from rookery.dedup.leases import SharedWindow
from rookery.dedup.sqlite import SqliteLedger
from rookery.events.wire import CloudEvent

place, lease, mode = sys.argv[1], float(sys.argv[2]), sys.argv[3]
times = {"ttl_seconds": 60, "lease_seconds": lease}
if place.startswith("sqlite:"):
    ledger = SqliteLedger(Path(place.removeprefix("sqlite:")), entries=10_000, **times)
else:
    ledger, _ = redis.connect(place, **times)
window = SharedWindow(ledger, name="store", scope="scope", lease_seconds=lease)

def compute():
    print("computing", flush=True)
    sys.stdin.readline()
    return CloudEvent(id="child", source="/s", type="t")

if mode == "once":
    event, repeat = window.run("k", compute)
    print(event.id, repeat, flush=True)
    sys.stdin.readline()
elif mode == "endless":
    print("running", flush=True)
    for number in range(10**9):
        window.run(str(number), lambda: CloudEvent(id="x", source="/s", type="t", data=b"1" * 5000))
else:
    sys.stdin.readline()
    mine = [
        number
        for number in range(200)
        if not window.run(str(number), lambda: CloudEvent(id="x", source="/s", type="t"))[1]
    ]
    print(len(mine), flush=True)
window.close()
"""


@contextmanager
def child(place, mode, lease=1.0):
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, place, str(lease), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()


def said(process):
    return process.stdout.readline().strip()


def test_a_process_waits_for_the_result_of_another(ledgers):
    with child(ledgers.place, "once", lease=5) as first:
        assert said(first) == "computing"
        with child(ledgers.place, "once", lease=5) as second:
            go_on(first)
            assert said(first) == "child False"
            assert said(second) == "child True"


def test_after_kill_9_in_the_middle_of_an_inference_another_takes_over(ledgers):
    with child(ledgers.place, "once") as first:
        assert said(first) == "computing"
        with child(ledgers.place, "once") as second:
            first.kill()
            assert said(second) == "computing"
            go_on(second)
            assert said(second) == "child False"


def test_a_result_survives_kill_9(ledgers):
    with child(ledgers.place, "once") as first:
        assert said(first) == "computing"
        go_on(first)
        assert said(first) == "child False"
        first.kill()
        first.wait(DEADLINE)
    with child(ledgers.place, "once") as second:
        assert said(second) == "child True"


def test_a_claim_holds_while_the_work_goes_on(ledgers, wait_until):
    with child(ledgers.place, "once", lease=2) as first:
        assert said(first) == "computing"
        with child(ledgers.place, "once", lease=2) as second:
            started = time.monotonic()
            wait_until(lambda: time.monotonic() > started + 4, "two leases")
            go_on(first)
            assert said(second) == "child True"


def test_kill_9_at_any_point_leaves_the_store_in_order(ledgers):
    for milliseconds in (5, 20, 60, 150):
        with child(ledgers.place, "endless") as process:
            assert said(process) == "running"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(milliseconds / 1000)
            process.kill()
    with child(ledgers.place, "once") as process:
        assert said(process) == "computing"


def test_two_processes_compute_each_key_once(ledgers):
    with (
        child(ledgers.place, "all", lease=5) as first,
        child(ledgers.place, "all", lease=5) as second,
    ):
        go_on(first)
        go_on(second)
        assert int(said(first)) + int(said(second)) == 200
