import os
import stat
from pathlib import Path

import pytest

from rookery.snapshots import kernel
from rookery.snapshots.kernel import NAME, learn, offer, take_back

FOUND = b"what CRIU found out"


@pytest.fixture
def cache(tmp_path):
    """The place where CRIU looks; it is empty."""
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "criu.kdat"


@pytest.fixture
def snapshot(tmp_path):
    """A snapshot that was made in this boot, with these capabilities."""
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / NAME).write_bytes(kernel._circumstances() + FOUND)
    return folder


def test_what_is_kept_is_put_where_criu_looks_and_taken_back(snapshot, cache):
    assert offer(str(snapshot), cache=str(cache))
    assert cache.read_bytes() == FOUND
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    take_back(cache=str(cache))
    take_back(cache=str(cache))
    assert list(cache.parent.iterdir()) == []


def test_what_criu_keeps_itself_stays(snapshot, cache):
    cache.write_bytes(b"newer")
    assert not offer(str(snapshot), cache=str(cache))
    assert cache.read_bytes() == b"newer"


def test_what_a_killed_launcher_left_in_an_earlier_boot_is_replaced(snapshot, cache):
    cache.write_bytes(b"of another kernel")
    os.utime(cache, (0, 0))
    assert offer(str(snapshot), cache=str(cache))
    assert cache.read_bytes() == FOUND


@pytest.mark.parametrize("changed", ["boot", "capabilities"])
def test_what_another_kernel_or_user_found_out_is_not_believed(snapshot, cache, changed):
    boot, capabilities = kernel._circumstances().split()
    first = b"another " + capabilities if changed == "boot" else boot + b" 0000"
    (snapshot / NAME).write_bytes(first + b"\n" + FOUND)
    assert not offer(str(snapshot), cache=str(cache))
    assert list(cache.parent.iterdir()) == []


def test_a_snapshot_without_it_and_a_place_that_cannot_be_written_to_are_no_failure(
    snapshot, tmp_path
):
    assert not offer(str(snapshot), cache="/dev/null/criu.kdat")
    assert not offer(str(tmp_path), cache=str(tmp_path / "criu.kdat"))


def test_what_cannot_be_learned_is_not_kept(tmp_path):
    learn("/no/such/criu", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Put scripts in the place of commands; what makes a namespace makes none."""

    def put(**scripts):
        folder = tmp_path / "commands"
        folder.mkdir()
        for name, script in {"unshare": 'shift; exec "$@"', **scripts}.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        made = tmp_path / "made"
        made.mkdir()
        return made

    return put


def test_what_criu_found_out_is_kept(commands):
    made = commands(mount="exit 0", cat="echo found")
    learn("/bin/false", str(made))
    assert (made / NAME).read_bytes() == kernel._circumstances() + b"found\n"


def test_what_lies_about_in_this_machines_run_is_not_kept(commands):
    made = commands(mount="exit 1", cat="echo of an earlier boot")
    learn("/bin/true", str(made))
    assert list(made.iterdir()) == []


def test_a_criu_that_hangs_is_ended_and_nothing_kept(commands, monkeypatch, tmp_path):
    os.mkfifo(tmp_path / "runs")
    reader = os.open(tmp_path / "runs", os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(kernel, "_SECONDS", 0.5)
    made = commands(mount="exit 0", cat="echo found", hang=f"exec >{tmp_path}/runs; sleep 60")
    learn(str(tmp_path / "commands" / "hang"), str(made))
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # as soon as nobody has the other end
    os.close(reader)
    assert list(made.iterdir()) == []


def test_a_boot_without_a_name_is_no_failure(commands, monkeypatch):
    def unnamed():
        raise PermissionError

    made = commands(mount="exit 0", cat="echo found")
    monkeypatch.setattr(kernel, "boot", unnamed)
    learn("/bin/true", str(made))
    assert list(made.iterdir()) == []


def test_what_was_found_out_and_cannot_be_written_is_a_failure(commands, tmp_path):
    commands(mount="exit 0", cat="echo found")
    with pytest.raises(FileNotFoundError):
        learn("/bin/true", str(tmp_path / "no such folder"))


@pytest.mark.skipif(kernel.os.geteuid() != 0, reason="a mount namespace takes root")
def test_criu_is_asked_where_its_findings_do_not_stay(tmp_path):
    program = tmp_path / "criu"
    program.write_text(f"#!/bin/sh\ntest $1 = check && printf found > {kernel.CACHE}\n")
    program.chmod(0o755)
    was_there = Path(kernel.CACHE).exists()
    learn(str(program), str(tmp_path))
    assert (tmp_path / NAME).read_bytes() == kernel._circumstances() + b"found"
    assert Path(kernel.CACHE).exists() == was_there
