import os
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from rookery.errors import SnapshotFailed
from rookery.snapshots import criu, donor
from rookery.snapshots.donor import run_donor

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace takes root")

SAY = """
import os, sys
control, status = map(int, os.environ["ROOKERY_SNAPSHOT_PIPES"].split(","))
say = lambda *line: print(*line, flush=True)
"""
READY = """
os.write(status, b'{"state": "ready"}\\n')
"""
REFUSE = """
os.write(status, b'{"state": "refused", "reason": "a socket"}\\n')
"""
WAIT = """
os.read(control, 1)
"""


def run(script, said=None, **environ):
    lines = [] if said is None else said
    command = (sys.executable, "-ISc", SAY + script)
    return run_donor(command, {"PATH": os.defpath, **environ}, lines.append)


def held():
    """What this process holds: descriptors, threads and children."""
    return {
        *(one.name for one in Path("/proc/self/fd").iterdir()),
        *threading.enumerate(),
        Path("/proc/thread-self/children").read_text(),
    }


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = held()
    yield
    # What an earlier test has left behind may be gone meanwhile.
    assert held() <= before


def processes_in(namespace):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += [process.name] if (process / "ns/pid").readlink() == namespace else []
        except OSError:
            continue  # it has ended
    return found


# --- a process that waits ------------------------------------------------------------------


@needs_root
def test_the_donor_is_the_process_itself_and_the_first_of_its_namespace():
    with run(READY + WAIT) as found:
        proc = Path(f"/proc/{found.process}")
        assert (proc / "cmdline").read_bytes().startswith(sys.executable.encode() + b"\0-ISc\0")
        status = (proc / "status").read_text().splitlines()
        assert next(line.split()[-1] for line in status if line.startswith("NSpid:")) == "1"
        session = int((proc / "stat").read_text().rpartition(")")[2].split()[3])
        assert session == found.process


@needs_root
def test_its_pipes_are_named_as_the_kernel_names_them():
    with run(READY + WAIT) as found:
        own = Path(f"/proc/{found.process}")
        numbers = (own / "environ").read_text().partition("PIPES=")[2].partition("\0")[0].split(",")
        opened = [str((own / "fd" / str(number)).readlink()) for number in (1, 2, *numbers)]
        assert list(found.pipes) == list(criu.STREAMS)
        assert list(found.pipes.values()) == opened


@needs_root
def test_it_holds_nothing_of_ours():
    read, write = os.pipe()
    os.set_inheritable(write, True)  # noqa: FBT003 - has no name
    with run(READY + WAIT) as found:
        assert len(list(Path(f"/proc/{found.process}/fd").iterdir())) == 5
    os.close(read)
    os.close(write)


@needs_root
def test_its_environment_is_what_was_given(monkeypatch):
    monkeypatch.setenv("S3_SECRET_KEY", "open-sesame")
    with run(READY + WAIT, A="1", B="") as found:
        environ = Path(f"/proc/{found.process}/environ").read_bytes().decode().split("\0")
    names = {one.partition("=")[0] for one in environ if one}
    assert names == {"PATH", "A", "B", donor.PIPES_VARIABLE}


@needs_root
def test_it_works_where_a_clone_can_in_any_session(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with run(READY + WAIT) as found:
        assert Path(f"/proc/{found.process}/cwd").readlink() == Path("/tmp")


def test_where_that_cannot_be_written_to_it_works_in_the_folder_for_temporary_files(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert donor._working_folder() == str(tmp_path)


class Listening(list):
    """What was relayed; a file appears once those are two lines."""

    def __init__(self, heard):
        self._heard = heard

    def append(self, line):
        super().append(line)
        if len(self) == 2:
            self._heard.touch()


@needs_root
def test_what_it_says_until_then_is_relayed(tmp_path):
    said = Listening(tmp_path / "heard")
    until_heard = "while not os.path.exists(os.environ['HEARD']): pass"
    script = f"say('loading'); os.write(2, b'warmed \\xff\\n')\n{until_heard}{READY}"
    with run(script + WAIT, said, HEARD=str(tmp_path / "heard")):
        pass
    assert sorted(said) == ["loading", "warmed \N{REPLACEMENT CHARACTER}"]


@needs_root
def test_it_is_ended_with_all_that_it_has_started(wait_until):
    started = f"if not os.fork():{WAIT.replace('os', ' os')}say('two'){READY}{WAIT}"
    with run(started) as found:
        namespace = Path(f"/proc/{found.process}/ns/pid").readlink()
        assert len(processes_in(namespace)) == 2
    wait_until(lambda: not processes_in(namespace), "all of them to be gone")


# --- a process that does not ---------------------------------------------------------------


@needs_root
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("sys.exit('no model dodo')", "ended with exit status 1 before it could be"),
        ("say('no model dodo'); os.abort()", "before it could be snapshotted"),
        (f"{REFUSE}say('no model dodo')", "cannot be snapshotted: a socket"),
    ],
    ids=["ends", "is killed", "refuses"],
)  # fmt: skip
def test_a_function_that_does_not_wait_has_said_why(script, message):
    said = []
    with pytest.raises(SnapshotFailed, match=message), run(script, said):
        pytest.fail("there is no donor")
    assert said == ["no model dodo"]


@needs_root
def test_a_function_that_ends_as_soon_as_it_waits_is_no_crash(monkeypatch, wait_until):
    child_of = donor._child_of

    def look_later(process):
        children = Path(f"/proc/{process}/task/{process}/children")
        wait_until(lambda: not children.read_text(), "the donor to end")
        return child_of(process)

    monkeypatch.setattr(donor, "_child_of", look_later)
    with pytest.raises(SnapshotFailed, match="ended when it was about to be"), run(READY):
        pytest.fail("there is no donor")


@needs_root
def test_a_command_that_is_none_is_said_by_the_one_who_looked_for_it():
    said = []
    with (
        pytest.raises(SnapshotFailed, match="exit status 127"),
        run_donor(("/no/such",), {"PATH": os.defpath}, said.append),
    ):
        pytest.fail("there is no donor")
    assert "/no/such" in said[0]


def test_where_there_is_no_unshare_its_package_is_named(monkeypatch):
    monkeypatch.setattr(donor, "_IN_A_NAMESPACE", ("/no/such/unshare",))
    with (
        pytest.raises(SnapshotFailed, match=r"unshare cannot be run: No such file.* util-linux"),
        run(READY),
    ):
        pytest.fail("there is no donor")


# --- where no namespace may be made -----------------------------------------------------------


@needs_root
def test_without_namespaces_it_runs_among_ours_with_no_capabilities(monkeypatch):
    monkeypatch.setattr(donor.privileges, "may_make_namespaces", lambda _: False)
    with run(READY + WAIT) as made:
        process = Path(f"/proc/{made.process}")
        assert (process / "ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
        assert os.getsid(made.process) == made.process
        assert made.process > donor._FREE_ELSEWHERE
        assert "CapEff:\t0000000000000000\n" in (process / "status").read_text()
    assert made.capabilities == 0
