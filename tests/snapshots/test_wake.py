"""Waking, with a stand-in for CRIU; tests/end_to_end has the real one."""

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rookery.snapshots import manifest, verified
from rookery.snapshots.wake import _hook_seconds

SERVE = "told(); say(state='serving')"


def clone(*lines):
    """A CRIU that restores a process which runs these *lines*, and ends."""
    return ("def run():", *(f"    {line}" for line in lines), "clone(run)")


def with_before(woken, lines):
    """The launcher of *woken*, after it has run these *lines*."""
    return woken.launcher.replace("before = state()", lines + "before = state()")


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


def into_a_file(woken, target, *, seconds=60):
    """Wake it, with a file for its output."""
    with target.open("wb") as file:
        subprocess.run(
            woken.command(seconds),
            env=woken.whole_environ(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            check=True,
            timeout=30,
        )
    return woken.outcome(target.read_text())


def test_a_clone_may_say_much_before_it_serves(scene, tmp_path):
    much = "os.write(int(given['stdout']), b'x' * 300_000 + b'\\n')"
    woken = scene(*clone("told()", much, "say(state='serving')", "os._exit(0)"))
    assert into_a_file(woken, tmp_path / "log", seconds=10) == 0
    assert (tmp_path / "log").read_text().splitlines()[0] == "x" * 300_000


@pytest.mark.parametrize("closed", [">&-", "<&- >&-"])
def test_no_pipe_takes_the_place_of_a_closed_stream(scene, closed):
    woken = scene(*clone(SERVE, "os._exit(min(control, status) < 3 or int(given['stdout']) != 1)"))
    woken = replace(woken, launcher=woken.launcher.replace("flush=True", "file=sys.stderr"))
    done = subprocess.run(
        ("sh", "-c", f'"$@" {closed}', "sh", *woken.command(60)),
        env=woken.whole_environ(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
    )
    report = done.stderr.splitlines()[-1]
    assert woken.outcome(report, interrupted=True) == 0  # the stream is open now, to nowhere


def test_pages_that_were_in_order_are_not_read_again(scene):
    woken = scene(*clone(SERVE, "os._exit(0)"))
    assert woken.wake() == 0
    stamp = (woken.snapshot / verified.NAME).read_text()
    files = manifest.read(str(woken.snapshot)).files
    assert stamp == verified.identity(str(woken.snapshot), files)


def test_pages_that_change_while_they_are_read_are_read_again(scene):
    woken = scene(*clone(SERVE, "os._exit(0)"))
    change = """
import shutil
from rookery.snapshots import manifest
verify = manifest.verify_big
def verify_big(directory, described):
    verify(directory, described)
    memory = f"{directory}/{manifest.MEMORY}"
    shutil.copy(memory, f"{memory}.new")
    os.replace(f"{memory}.new", memory)
manifest.verify_big = verify_big
"""
    assert replace(woken, launcher=with_before(woken, change)).wake() == 0
    assert not (woken.snapshot / verified.NAME).exists()


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


def test_a_criu_that_restores_nothing_is_a_failure(scene):
    assert scene().wake() == "SnapshotFailed: CRIU ended well, but has restored nothing"


def test_no_place_for_temporary_files_is_needed(scene):
    woken = replace(scene("fail('Error (a:1): no')"), environ={"TMPDIR": "/dev/null"})
    assert woken.wake() == f"SnapshotFailed: CRIU cannot restore {woken.snapshot}: no"


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


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, 10),
        ({"ROOKERY_HOOK_SECONDS": "300"}, 300),
        ({"ROOKERY_HOOK_SECONDS": "2.5"}, 2.5),
        *[({"ROOKERY_HOOK_SECONDS": bad}, 10) for bad in ("", "x", "0", "-1", "nan", "inf", "1e9")],
    ],
)
def test_hooks_have_the_time_that_they_are_given(said, seconds):
    assert _hook_seconds(said) == seconds


def test_it_is_not_given_up_before_the_hooks_are(scene):
    waking = scene("wait()")
    longer = waking.launcher.replace('{"A": "1"}', '{"ROOKERY_HOOK_SECONDS": "0.5"}')
    said = replace(waking, launcher=longer).wake(seconds=1)
    assert said == "SnapshotFailed: the snapshot was not awake after 1.5 s"


# --- what is not ours ----------------------------------------------------------------------

HANGS = ("wait()",)
BESIDE = """
beside = os.spawnvp(os.P_NOWAIT, "sleep", ["sleep", "60"])
"""
IS_THERE = """
os.kill(beside, signal.SIGTERM)
assert os.waitstatus_to_exitcode(os.waitpid(beside, 0)[1]) == -signal.SIGTERM
"""


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (clone(SERVE, "os._exit(7)"), "7"),
        (clone("told()", "os._exit(7)"), "ended before it served"),
        ((*clone("wait()"), "fail('Error (a:1): no')"), "CRIU cannot restore"),
        (HANGS, "not awake"),
    ],
    ids=["served", "did not serve", "CRIU failed", "CRIU hung"],
)
def test_a_child_that_was_there_before_stays(scene, lines, outcome):
    # As with: sh -c 'sidecar & exec rookery serve ...'
    woken = scene(*lines)
    woken = replace(woken, launcher=with_before(woken, BESIDE) + IS_THERE)
    # Those that end by themselves have the time that it takes; what hangs is given up.
    seconds = 1 if lines == HANGS else 60
    assert outcome in str(woken.wake(seconds=seconds))


def test_a_child_that_comes_meanwhile_is_not_taken_for_the_clone(scene):
    # As pid 1 of a container is given those that nobody else waits for.
    woken = scene(
        *("def other():", "    os.close(status)", "    wait()", "clone(other)"),
        *clone(SERVE, "os._exit(7)"),
    )
    end_it = """
(other,) = map(int, state()["children"].split())
os.kill(other, signal.SIGKILL)
os.waitpid(other, 0)
print("""
    assert replace(woken, launcher=woken.launcher.replace("\nprint(", end_it)).wake() == 7


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (clone(SERVE, "os._exit(7)"), "7"),
        (("fail('Error (a:1): no')",), "CRIU cannot restore"),
        (clone("told()", "os._exit(7)"), "with exit status 7"),
    ],
    ids=["served", "CRIU failed", "did not serve"],
)
def test_whoever_started_it_may_ignore_the_ends_of_children(scene, lines, outcome):
    ignored = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
"""
    given_back = """
assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
"""
    woken = scene(*lines)
    woken = replace(woken, launcher=with_before(woken, ignored) + given_back)
    assert outcome in str(woken.wake())


def test_signals_are_given_back_even_if_cleaning_up_fails(scene):
    woken = scene("sys.exit(1)")
    broken = """
def fail(self):
    finish(self)
    raise OSError("broken")
finish, wake.Output.finish = wake.Output.finish, fail
"""
    unhandled = woken.launcher.replace("except RookeryError", "except (RookeryError, OSError)")
    woken = replace(woken, launcher=unhandled)
    assert replace(woken, launcher=with_before(woken, broken)).wake(leaks=True) == "OSError: broken"


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
def test_a_signal_after_that_is_the_clones(scene, number, told):
    heed = f"signal.signal({int(told)}, lambda *_: os._exit(5))"
    waking = scene(*clone(heed, SERVE, "wait()"))
    heard = """
await_serving = wake._Launch.await_serving
def heard(self):
    await_serving(self)
    print("heard", flush=True)
wake._Launch.await_serving = heard
"""
    with replace(waking, launcher=with_before(waking, heard)).start() as launcher:
        launcher.said("heard")
        launcher.process.send_signal(number)
        assert launcher.ends() == 0
        assert waking.outcome(launcher.text) == 5


TERMINATED = "os.kill(os.getpid(), signal.SIGTERM)"


def test_a_signal_just_after_criu_was_started_ends_everything_in_order(scene):
    woken = scene(*clone("wait()"), "wait()")
    at_once = f"""
spawn = os.posix_spawn
def spawned(*given, **options):
    process = spawn(*given, **options)
    {TERMINATED}
    return process
os.posix_spawn = spawned
"""
    woken = replace(woken, launcher=with_before(woken, at_once))
    assert woken.wake(interrupted=True) == 0


@pytest.mark.parametrize(
    "lines",
    [("fail('Error (a:1): no')",), clone("told()", "os._exit(1)")],
    ids=["CRIU failed", "the clone did"],
)
def test_a_signal_just_after_a_failure_ends_everything_in_order(scene, lines):
    woken = scene(*lines)
    then = f"""
from rookery.snapshots.interruption import Bounded
hold = Bounded.hold
def late(self):
    {TERMINATED}
    hold(self)
Bounded.hold = late
"""
    woken = replace(woken, launcher=with_before(woken, then))
    assert woken.wake(interrupted=True) == 0
