"""`rookery up` starts, says what is wrong, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from whole_system import ROOT, System, home_with, wait_until

CHILDREN = ("storage", "broker", "source", "classify")


def test_ctrl_c_stops_every_process(quick_system: System) -> None:
    pids = [quick_system.pid(name) for name in CHILDREN]
    assert all(pids)

    quick_system.process.send_signal(signal.SIGINT)

    assert quick_system.process.wait(30) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not (quick_system.home / "up.json").exists()


def test_a_killed_up_takes_its_processes_along(quick_system: System) -> None:
    pids = [quick_system.pid(name) for name in CHILDREN]

    quick_system.process.kill()

    wait_until(lambda: not any(_runs(pid) for pid in pids if pid), 30, "the end of every child")


def test_a_second_up_in_the_same_home_is_refused(quick_system: System) -> None:
    done = _up(quick_system.home)

    assert done.returncode == 78
    assert "already up in" in done.stderr


def test_a_taken_port_is_one_clear_message(models: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        done = _up(home_with(models, tmp_path), f"--broker-port={port}")

    assert done.returncode == 78
    assert f"port {port} for the broker is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_function_that_cannot_start_is_one_clear_message(models: Path, tmp_path: Path) -> None:
    done = _up(home_with(models, tmp_path), ROOKERY_TOP_K="many")

    assert done.returncode == 78
    assert "ROOKERY_TOP_K" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_functions_is_one_clear_message(tmp_path: Path) -> None:
    done = _up(tmp_path, "--functions", str(tmp_path))

    assert done.returncode == 78
    assert "there is no function" in done.stderr


def _up(home: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (
            sys.executable, "-m", "rookery", "up", "--storage-port=0", "--broker-port=0",
            "--function-port=0", *arguments,
        ),
        env={**os.environ, **env, "ROOKERY_HOME": str(home)},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )  # fmt: skip


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
