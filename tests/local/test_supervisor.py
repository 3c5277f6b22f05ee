import logging
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from rookery.errors import StartFailed
from rookery.local import supervisor as supervisor_module
from rookery.local.plan import ProcessPlan
from rookery.local.supervisor import Supervisor

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
DENIED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
LOADING = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
# Says that it is up, and ends when it is told to; blocked first, so that no telling is missed.
OBEDIENT = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {15})
print("up", flush=True)
signal.sigwait({15})
"""
STUBBORN = """
import signal
signal.signal(15, signal.SIG_IGN)
print("up", flush=True)
while True: signal.pause()
"""


def python(name, code=OBEDIENT, **fields):
    return ProcessPlan(name, (sys.executable, "-c", code), **fields)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def supervisor(tmp_path):
    made = Supervisor(tmp_path / "logs", stop_seconds=20)
    yield made
    made.stop()


@pytest.fixture
def start(supervisor):
    """Start processes and return who was called ready."""

    def started(*plans, within_seconds=20.0, stopping=lambda: False):
        ready = []
        supervisor.start(
            plans,
            within_seconds=within_seconds,
            stopping=stopping,
            on_ready=lambda plan, seconds: ready.append((plan.name, seconds >= 0)),
        )
        return ready

    return started


@pytest.fixture
def up(supervisor, start, wait_until):
    """Start processes and wait until each has said that it is up."""

    def started(*plans):
        start(*plans)
        for plan in plans:
            wait_until(partial(says_up, supervisor, plan), f"{plan.name} to be up")

    return started


def log_of(supervisor, plan):
    return (supervisor.logs / f"{plan.name}.log").read_text()


def says_up(supervisor, plan):
    return "up" in log_of(supervisor, plan)


def lives(pid):
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def child(supervisor, name):
    (found,) = (one for one in supervisor._children if one.plan.name == name)
    return found


def kill(supervisor, name):
    process = child(supervisor, name).process
    process.kill()
    process.wait()


# --- starting ------------------------------------------------------------------------------


def test_every_process_is_started_and_called_ready_once(supervisor, start):
    assert start(python("one"), python("two")) == [("one", True), ("two", True)]
    assert all(lives(pid) for pid in supervisor.pids().values())
    assert list(supervisor.pids()) == ["one", "two"]


@pytest.mark.parametrize("answer", [OK, DENIED])
def test_a_server_is_ready_when_it_answers_with_less_than_500(start, scripted_server, answer):
    server = scripted_server(LOADING, LOADING, answer)
    assert start(python("one", ready_url=f"{server.url}/ready")) == [("one", True)]
    assert len(server.requests) == 3
    assert server.requests[0].startswith(b"GET /ready ")


def test_one_that_does_not_become_ready_in_time_is_named(start, unused_url):
    with pytest.raises(StartFailed, match=r"one was not ready within 0 s: "):
        start(python("one", ready_url=unused_url), within_seconds=0.2)


def test_one_that_ends_is_named_with_its_last_words_and_its_log(supervisor, start, unused_url):
    code = "print('starting'); print('out of birds'); exit(3)"
    with pytest.raises(StartFailed) as raised:
        start(python("one", code, ready_url=unused_url), python("two"))
    assert str(raised.value).startswith("one failed to start: out of birds\n")
    assert str(supervisor.logs / "one.log") in str(raised.value)


def test_our_own_error_is_told_whole_and_without_what_came_before(start, unused_url):
    code = "print('noise'); print('rookery: 2 setting(s):\\n  - A\\n  - B'); exit(78)"
    with pytest.raises(StartFailed, match="one failed to start: 2 setting"):
        start(python("one", code, ready_url=unused_url))


def test_one_that_says_nothing_is_said_to(start, unused_url):
    with pytest.raises(StartFailed, match="it said nothing"):
        start(python("one", "exit(1)", ready_url=unused_url))


def test_what_an_earlier_run_said_is_not_why_this_one_ended(supervisor, start, unused_url):
    supervisor.logs.mkdir()
    (supervisor.logs / "one.log").write_text("rookery: the disk is full\n")
    with pytest.raises(StartFailed, match="it said nothing"):
        start(python("one", "exit(1)", ready_url=unused_url))
    assert "the disk is full" in (supervisor.logs / "one.log").read_text()


def test_a_command_that_does_not_exist_is_named_and_the_others_can_be_stopped(supervisor, start):
    with pytest.raises(StartFailed, match=r"two cannot be started: .*no-such-command"):
        start(python("one"), ProcessPlan("two", ("/no-such-command",)))
    pid = supervisor.pids()["one"]
    supervisor.stop()
    assert not lives(pid)


def test_waiting_for_readiness_can_be_given_up(supervisor, start, unused_url):
    asked = iter([False, False, True])
    assert start(python("one", ready_url=unused_url), stopping=lambda: next(asked)) == []
    assert list(supervisor.pids()) == ["one"]


def test_starting_nothing_is_nothing(start):
    assert start() == []


def test_a_process_has_our_environment_and_its_own_above_it(supervisor, up, monkeypatch):
    monkeypatch.setenv("BIRD", "crow")
    monkeypatch.setenv("TREE", "oak")
    code = f"import os; print(os.environ['BIRD'], os.environ['TREE'])\n{OBEDIENT}"
    plan = python("one", code, env={"BIRD": "rook"})
    up(plan)
    assert log_of(supervisor, plan).startswith("rook oak")


def test_a_process_is_out_of_reach_of_ctrl_c(supervisor, up):
    up(python("one"))
    pid = supervisor.pids()["one"]
    assert os.getsid(pid) == pid != os.getsid(0)


# --- tending -------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(supervisor_module, "time", clock)
    return clock


def spawned(supervisor, plan, clock):
    """Start without waiting, as `start` would need a clock that runs."""
    made = supervisor_module._Child(plan, *supervisor._spawn(plan), clock.now)
    supervisor._children.append(made)
    return made


def test_what_died_is_started_again_after_its_pause(supervisor, clock):
    one = spawned(supervisor, python("one"), clock)
    kill(supervisor, "one")
    first = one.process.pid
    supervisor.tend()
    clock.now += 0.49
    supervisor.tend()
    assert supervisor.pids()["one"] == first
    clock.now += 0.02
    supervisor.tend()
    assert supervisor.pids()["one"] != first
    assert lives(supervisor.pids()["one"])


def test_what_lives_is_left_alone(supervisor, clock):
    spawned(supervisor, python("one"), clock)
    before = dict(supervisor.pids())
    for _ in range(3):
        supervisor.tend()
        clock.now += 100
    assert supervisor.pids() == before


def pauses(supervisor, clock, caplog, deaths):
    """Let `one` die so often; return the pauses that were announced."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(deaths):
            kill(supervisor, "one")
            supervisor.tend()
            clock.now += 31
            supervisor.tend()
    return [float(found) for found in re.findall(r"again in (\S+) s", caplog.text)]


def test_the_pause_grows_to_half_a_minute(supervisor, clock, caplog):
    spawned(supervisor, python("one"), clock)
    assert pauses(supervisor, clock, caplog, 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_who_has_lived_for_a_minute_starts_anew(supervisor, clock, caplog):
    spawned(supervisor, python("one"), clock)
    pauses(supervisor, clock, caplog, 4)
    clock.now += 61
    supervisor.tend()
    assert pauses(supervisor, clock, caplog, 2) == [0.5, 1]


def test_one_that_cannot_be_started_again_is_tried_again(supervisor, clock, caplog, tmp_path):
    command = tmp_path / "command"
    command.symlink_to(sys.executable)
    spawned(supervisor, ProcessPlan("one", (str(command), "-c", OBEDIENT)), clock)
    command.unlink()
    assert pauses(supervisor, clock, caplog, 3) == [0.5, 1, 2]
    assert "one cannot be started" in caplog.text
    command.symlink_to(sys.executable)
    for _ in range(2):
        supervisor.tend()
        clock.now += 31
        supervisor.tend()
    assert lives(supervisor.pids()["one"])


# --- stopping ------------------------------------------------------------------------------


def test_what_was_started_last_is_stopped_first(supervisor, up, tmp_path):
    order = tmp_path / "order"
    code = f"{OBEDIENT}\nopen({str(order)!r}, 'a').write(NAME + ' ')"
    up(*(python(name, f"NAME = {name!r}\n{code}") for name in ("one", "two", "three")))
    supervisor.stop()
    assert order.read_text() == "three two one "


def test_what_does_not_end_is_killed(supervisor, up, caplog):
    up(python("one", STUBBORN))
    pid = supervisor.pids()["one"]
    supervisor.stop_seconds = 0.05
    with caplog.at_level(logging.WARNING):
        supervisor.stop()
    assert "one does not end; killing it" in caplog.text
    assert not lives(pid)


def test_stopping_twice_or_what_has_died_is_no_error(supervisor, up):
    up(python("one"), python("two"))
    kill(supervisor, "one")
    supervisor.stop()
    supervisor.stop()
    assert supervisor.pids() == {}


def test_nobody_is_left_when_the_supervisor_is_killed(tmp_path, wait_until):
    code = f"""
import sys, time
from pathlib import Path
from rookery.local.plan import ProcessPlan
from rookery.local.supervisor import Supervisor
supervisor = Supervisor(Path({str(tmp_path)!r}))
supervisor.start(
    [ProcessPlan(name, (sys.executable, "-c", {OBEDIENT!r})) for name in ("one", "two")],
    within_seconds=20, stopping=lambda: False, on_ready=lambda *_: None,
)
print(*supervisor.pids().values(), flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        (sys.executable, "-c", code), stdout=subprocess.PIPE, text=True
    ) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert [lives(pid) for pid in pids] == [True, True]
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not any(lives(pid) for pid in pids), "the children to end")
