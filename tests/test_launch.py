"""What `rookery` does before a command is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from rookery.errors import SnapshotFailed
from rookery.launch import main, snapshot_of
from rookery.snapshots import wake

FUNCTIONS = Path(__file__).parents[1] / "functions"


@pytest.mark.parametrize(
    ("line", "directory"),
    [
        ("", None),
        ("serve", None),
        ("serve classify", None),
        ("serve classify --snapshot made", "made"),
        ("serve --snapshot made classify", "made"),
        ("serve --snapshot=made classify --port 0", "made"),
        ("serve classify --snapshot=", ""),
        ("serve classify --snapshot=a=b", "a=b"),
        ("serve classify --snapshot a --snapshot b", "b"),
        ("serve classify --snapshot=a --snapshot=b", "b"),
        # What click has to say something about.
        ("serve classify --snapshot", None),
        ("serve classify --snapshot made --help", None),
        ("serve -h --snapshot made", None),
        ("serve -- classify --snapshot made", None),
        ("--version serve classify --snapshot made", None),
        # Other commands, and options that only begin alike.
        ("snapshot run --snapshot made", None),
        ("up --snapshot made", None),
        ("serve classify --snapshots made", None),
        ("serve classify snapshot made", None),
    ],
)
def test_a_snapshot_is_recognized_without_a_parser(line, directory):
    assert snapshot_of(line.split()) == directory


# --- waking and booting --------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command line; return what waking was asked for, and what was left to click."""
    program = tmp_path / "criu"
    program.touch(mode=0o755)
    monkeypatch.setenv("ROOKERY_CRIU", str(program))
    asked, left = [], []

    def start(*arguments, outcome):
        def waking(directory, rest, *, program, environ):
            asked.append((directory, rest, program, environ["ROOKERY_CRIU"]))
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(wake, "wake", waking)
        monkeypatch.setattr("rookery.cli.main", lambda: left.append(sys.argv[1:]))
        monkeypatch.setattr(sys, "argv", ["rookery", *arguments])
        main()

    return start, asked, left


LINE = ("serve", "classify", "--snapshot", "made", "--port=0")


@pytest.mark.parametrize("status", [0, 7, 143])
def test_the_woken_processs_status_is_ours(run, tmp_path, status):
    start, asked, left = run
    with pytest.raises(SystemExit) as ended:
        start(*LINE, outcome=status)
    assert ended.value.code == status
    program = str(tmp_path / "criu")
    assert asked == [("made", list(LINE[1:]), program, program)]
    assert left == []


@pytest.mark.parametrize(
    "failure", [SnapshotFailed("CRIU gave no reason"), OSError(24, "Too many open files")]
)
def test_a_snapshot_that_cannot_be_woken_is_one_line_and_a_normal_boot(run, capsys, failure):
    start, _, left = run
    start(*LINE, outcome=failure)
    assert capsys.readouterr().err == f"rookery: booting without the snapshot: {failure}\n"
    assert left == [list(LINE)]


def test_without_criu_it_boots_and_says_how_to_install_it(run, capsys, monkeypatch):
    start, asked, left = run
    monkeypatch.setenv("ROOKERY_CRIU", "/no/such/criu")
    start(*LINE, outcome=0)
    assert "ROOKERY_CRIU=/no/such/criu is no program" in capsys.readouterr().err
    assert (asked, left) == ([], [list(LINE)])


def test_where_nobody_reads_why_it_boots_all_the_same(run, monkeypatch):
    start, _, left = run
    monkeypatch.setattr(sys, "stderr", None)  # as Python has it where it was closed
    start(*LINE, outcome=SnapshotFailed("CRIU gave no reason"))
    assert left == [list(LINE)]


def test_an_operator_may_forbid_snapshots(run, monkeypatch, capsys):
    start, asked, left = run
    monkeypatch.setenv("ROOKERY_SNAPSHOT", "none")
    start(*LINE, outcome=0)
    assert (asked, left) == ([], [list(LINE)])
    assert capsys.readouterr().err == (
        "rookery: booting without the snapshot: ROOKERY_SNAPSHOT=none\n"
    )


def test_who_asks_for_no_snapshot_hears_nothing_of_one_that_is_forbidden(run, monkeypatch, capsys):
    start, _, left = run
    monkeypatch.setenv("ROOKERY_SNAPSHOT", "none")
    start("serve", "classify", outcome=0)
    assert (left, capsys.readouterr().err) == ([["serve", "classify"]], "")


def test_a_fault_of_ours_is_not_hidden(run):
    start, _, _ = run
    with pytest.raises(ZeroDivisionError):
        start(*LINE, outcome=ZeroDivisionError())


@pytest.mark.parametrize("line", [(), ("--help",), ("serve", "classify"), ("models", "list")])
def test_everything_else_is_left_to_the_commands(run, line):
    start, asked, left = run
    start(*line, outcome=0)
    assert (asked, left) == ([], [list(line)])


def test_a_folder_that_is_no_snapshot_is_one_line_before_the_function_is_served(
    launch, environ, tmp_path
):
    command = (Path(sys.executable).with_name("rookery"), "serve", f"--functions={FUNCTIONS}")
    criu = {"ROOKERY_CRIU": "/bin/true"}
    with launch((*command, "classify", f"--snapshot={tmp_path}"), {**environ, **criu}) as server:
        server.said("listening on http://")
        (line,) = [line for line in server.lines if line.startswith("rookery: ")]
    assert line.startswith(f"rookery: booting without the snapshot: {tmp_path} is no snapshot: ")


# --- how quick that is ---------------------------------------------------------------------

SLOW = {
    "click", "ctypes", "dataclasses", "inspect", "pathlib", "pydantic", "subprocess", "threading",
    "typing", "yaml", "rookery.cli",
}  # fmt: skip
LOOK = """
import sys
before = {*sys.modules}
import rookery.launch, rookery.snapshots.criu, rookery.snapshots.wake
print(*({*sys.modules} - before))
"""


def test_what_wakes_a_snapshot_imports_nothing_that_takes_long():
    command = (sys.executable, "-Ic", LOOK)
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(found.stdout.split())
    assert "rookery.snapshots.wake" in loaded
    assert loaded & SLOW == set()
