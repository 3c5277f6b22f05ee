import signal
import subprocess
import sys

import pytest

from rookery.errors import CephInvalid
from rookery.storage.ceph import daemons
from rookery.storage.ceph.daemons import DAEMONS, MON, OSD, RGW, daemon_named, pids


@pytest.fixture
def pretend():
    """Start a process with the command line of a daemon of the node in a folder."""
    started = []

    def start(folder, daemon, *, ignore_term=False):
        handler = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" if ignore_term else ""
        program = f"import signal,time;{handler}print(1,flush=True);time.sleep(60)"
        process = subprocess.Popen(
            (
                daemon.program, "-c", program,
                "-c", str(folder / "ceph.conf"), *daemon.arguments,
            ),
            executable=sys.executable,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("daemon", DAEMONS, ids=lambda daemon: daemon.name)
def test_a_daemon_has_its_name(daemon):
    assert daemon_named(daemon.name) is daemon


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(CephInvalid, match=r"'mgr\.x'; there are mon\.a, osd\.0, client\.rgw"):
        daemon_named("mgr.x")


def test_a_daemon_is_found_by_its_command_line(tmp_path, pretend):
    process = pretend(tmp_path, OSD)
    assert pids(tmp_path, OSD) == (process.pid,)


@pytest.mark.parametrize("daemon", [MON, RGW], ids=lambda daemon: daemon.name)
def test_another_program_of_the_node_is_another_daemon(tmp_path, pretend, daemon):
    pretend(tmp_path, OSD)
    assert pids(tmp_path, daemon) == ()


def test_the_same_program_of_another_node_is_not_ours(tmp_path, pretend):
    pretend(tmp_path / "other", OSD)
    assert pids(tmp_path, OSD) == ()
    daemons.kill(tmp_path, OSD)
    assert daemons.is_running(tmp_path / "other", OSD)


def test_the_newest_of_several_is_the_last(tmp_path, pretend):
    first, second = pretend(tmp_path, OSD), pretend(tmp_path, OSD)
    assert pids(tmp_path, OSD)[-1] == max(first.pid, second.pid)


def ends_by(process):
    return -process.wait(10)


def test_a_daemon_is_ended_politely(tmp_path, pretend):
    process = pretend(tmp_path, OSD)
    assert daemons.stop(tmp_path, OSD, seconds=10)
    assert ends_by(process) == signal.SIGTERM


def test_a_daemon_that_does_not_end_is_killed(tmp_path, pretend):
    process = pretend(tmp_path, OSD, ignore_term=True)
    assert not daemons.stop(tmp_path, OSD, seconds=0.1)
    assert ends_by(process) == signal.SIGKILL


def test_what_does_not_run_ends_by_itself(tmp_path):
    assert daemons.stop(tmp_path, OSD, seconds=0)
    assert not daemons.kill(tmp_path, OSD)


def test_a_long_log_makes_place(tmp_path, monkeypatch):
    monkeypatch.setattr(daemons, "_LOG_BYTES", 10)
    log = daemons.log_file(tmp_path, OSD)
    log.parent.mkdir()
    log.write_text("more than ten bytes")
    daemons._rotate(log)
    assert log.with_suffix(".log.1").read_text() == "more than ten bytes"
    assert not log.exists()


def test_the_end_of_a_log_is_its_last_words(tmp_path):
    assert daemons.log_tail(tmp_path, OSD) == "it has no log"
    log = daemons.log_file(tmp_path, OSD)
    log.parent.mkdir()
    log.write_text("x" * 9000 + "\nthe reason\n")
    assert daemons.log_tail(tmp_path, OSD).endswith("the reason")
