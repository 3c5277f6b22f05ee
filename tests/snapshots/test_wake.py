"""Waking, with a stand-in for CRIU; tests/end_to_end has the real one."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from rookery.snapshots import manifest

SERVE = "told(); say(state='serving')"


def clone(*lines):
    """A CRIU that restores a process which runs these *lines*, and ends."""
    return ("def run():", *(f"    {line}" for line in lines), "clone(run)")


# --- when it succeeds ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("os._exit(0)", 0),
        ("os._exit(7)", 7),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
    ],
)
def test_the_status_is_the_one_the_clone_ends_with(scene, end, status):
    assert scene(*clone(SERVE, end)).wake() == status


def test_the_clone_is_told_where_it_woke_up(scene):
    woken = scene(*clone(SERVE, "os._exit(0)"))
    woken.wake()
    told = woken.told()
    moments = told.pop("moments")
    assert sorted(moments, key=moments.get) == ["started", "criu", "checked", "restored"]
    assert told == {
        "environ": {"A": "1"},
        "arguments": ["classify", "--port=0"],
        "directory": str(Path.cwd()),
    }


def test_an_environment_longer_than_a_pipe_holds_arrives(scene):
    woken = scene(*clone(SERVE, "os._exit(0)"))
    longer = woken.launcher.replace('{"A": "1"}', '{"A": "1" * 300_000}')
    woken = replace(woken, launcher=longer)
    assert woken.wake() == 0
    assert len(woken.told()["environ"]["A"]) == 300_000


def test_the_mapped_file_is_handed_over(scene):
    read = "os.write(1, os.pread(int(given['rookery/memory']), 5, 0) + b'\\n')"
    with scene(*clone(SERVE, read, "os._exit(0)")).start() as woken:
        woken.said("pages")


def test_a_snapshot_without_a_mapped_file_is_woken(scene):
    woken = scene(*clone(SERVE, "os._exit('rookery/memory' in given)"))
    (woken.snapshot / manifest.MEMORY).unlink()
    described = manifest.read(str(woken.snapshot))
    described.files = {}
    manifest.write(str(woken.snapshot), described)
    assert woken.wake() == 0


# --- when CRIU cannot do it ----------------------------------------------------------------


def test_the_reason_that_criu_logged_is_told(scene):
    lines = (
        "(0.1) Error (criu/x.c:3): Can't open /lib/x.so",
        "(0.2) Error (y.c:1): Restoring FAILED.",
    )
    woken = scene(f"fail(*{lines})")
    assert (
        woken.wake()
        == f"SnapshotFailed: CRIU cannot restore {woken.snapshot}: Can't open /lib/x.so"
    )


def test_a_criu_that_says_nothing_gave_no_reason(scene):
    assert scene("sys.exit(1)").wake().endswith("CRIU gave no reason")


def test_a_clone_of_a_criu_that_failed_after_all_is_ended(scene):
    assert "CRIU cannot restore" in scene(*clone("wait()"), "fail('Error (a:1): no')").wake()


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda program: program.write_bytes(b"\x7fELF"), "Exec format error"),
        (os.unlink, "No such file or directory"),
        (lambda program: program.chmod(0o644), "Permission denied"),
    ],
    ids=["no program", "gone", "not executable"],
)
def test_a_criu_that_cannot_be_run_is_named(scene, break_it, reason):
    woken = scene()
    break_it(woken.program)
    assert woken.wake() == f"SnapshotFailed: {woken.program} cannot be run: {reason}"


def test_a_folder_for_the_log_that_cannot_be_made_is_named(scene):
    said = replace(scene(), environ={"TMPDIR": "/dev/null"}).wake()
    assert said.startswith("SnapshotFailed: /dev/null/rookery-wake-")
    assert "cannot be made for CRIU's log: Not a directory; set TMPDIR to a folder" in said


# --- when the snapshot is not to be woken --------------------------------------------------


def test_a_clone_of_another_machine_never_goes_on(scene):
    woken = scene(*clone(SERVE, "wait()"))
    described = manifest.read(str(woken.snapshot))
    described.facts = {**described.facts, "kernel": "Linux 2.6.32 vax"}
    manifest.write(str(woken.snapshot), described)
    said = woken.wake()
    assert said.startswith(
        "SnapshotMismatch: the snapshot does not fit: the kernel was Linux 2.6.32"
    )
    assert woken.told() is None


def test_a_clone_with_damaged_pages_never_goes_on(scene):
    woken = scene(*clone(SERVE, "wait()"))
    memory = woken.snapshot / manifest.MEMORY
    memory.write_bytes(b"Pages" + bytes(memory.stat().st_size - 5))
    said = woken.wake()
    assert said.startswith(f"SnapshotInvalid: {memory} is damaged: its checksum")
    assert woken.told() is None


def test_of_a_torn_snapshot_nothing_is_restored(scene):
    woken = scene("open(scene + '/touched', 'w')")
    os.truncate(woken.snapshot / manifest.MEMORY, 5)
    assert woken.wake().startswith("SnapshotInvalid: ")
    assert not (woken.folder / "touched").exists()


# --- when the clone does not serve ---------------------------------------------------------


@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("say(state='refused', reason='no model dodo'); wait()", "refused to serve: no model dodo"),
        ("os._exit(3)", "ended before it served, with exit status 3"),
        ("os.kill(os.getpid(), 9)", "ended before it served, by signal 9"),
        ("os.write(status, b'{\"sta'); os._exit(1)", "ended before it served, with exit status 1"),
    ],
    ids=["refuses", "exits", "is killed", "half a word"],
)  # fmt: skip
def test_a_clone_that_does_not_serve_says_why(scene, does, message):
    said = scene(*clone("told()", does)).wake()
    assert said == f"SnapshotFailed: the restored process {message}"


def test_a_clone_that_ends_before_it_listens_is_no_crash(scene):
    # The clone's end of a pipe tells CRIU, which ends only then, that the clone is gone.
    woken = scene(
        "read, write = os.pipe()",
        *clone("os._exit(1)"),
        "os.close(write); os.close(control); os.read(read, 1)",
    )
    assert woken.wake() == "SnapshotFailed: the restored process ended at once"


@pytest.mark.parametrize("lines", [clone("told()", "wait()"), ("wait()",)], ids=["clone", "CRIU"])
def test_what_hangs_is_given_up(scene, lines):
    assert scene(*lines).wake(seconds=1) == "SnapshotFailed: the snapshot was not awake after 1 s"


# --- signals -------------------------------------------------------------------------------


SERVING_SOON = clone("told()", "print('here', flush=True)", "wait()")


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (("print('here', flush=True)", "wait()"), signal.SIGTERM),
        ((*clone("print('here', flush=True)", "wait()"), "wait()"), signal.SIGTERM),
        (("os.fork() or wait()", "print('here', flush=True)", "wait()"), signal.SIGTERM),
        (SERVING_SOON, signal.SIGTERM),
        (SERVING_SOON, signal.SIGINT),
        (SERVING_SOON, signal.SIGHUP),
    ],
    ids=["CRIU restores", "CRIU has restored", "CRIU's own", "hooks run", "interrupt", "hang up"],
)
def test_a_signal_before_it_serves_ends_everything_in_order(scene, lines, number):
    waking = scene(*lines)
    with waking.start() as launcher:
        launcher.said("here")
        launcher.process.send_signal(number)
        launcher.process.send_signal(number)  # another one changes nothing
        assert launcher.ends() == 0  # and all who held its output have
        assert waking.outcome(launcher.text, interrupted=True) == 0


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGHUP, signal.SIGTERM),  # a clone has no handler, and is pid 1: it would ignore it
    ],
)
def test_a_signal_after_that_is_the_clones(scene, wait_until, number, told):
    heed = f"signal.signal({int(told)}, lambda *_: os._exit(5))"
    waking = scene(*clone(heed, SERVE, "wait()"))
    with waking.start() as launcher:
        message, work = waking.folder / "told", waking.folder / "tmp"
        # The work folder goes as soon as the launcher has heard that the clone serves.
        wait_until(lambda: message.exists() and not list(work.iterdir()), "the clone to serve")
        launcher.process.send_signal(number)
        assert launcher.ends() == 0
        assert waking.outcome(launcher.text) == 5
