import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rookery.cli.root import exit_code, root
from rookery.errors import CriuMissing, FunctionInvalid, SnapshotFailed, SnapshotInvalid
from rookery.snapshots import create as create_module
from rookery.snapshots import manifest, wake
from rookery.snapshots.create import Made
from rookery.snapshots.layout import Layout

FUNCTIONS = Path(__file__).parents[2] / "functions"
FROZEN = {
    "ROOKERY_BACKEND": "fixed",
    "ROOKERY_THREADS": "",
    "model": "penguins/1 (0123)",
    "function": "x",
}


def invoke(*arguments):
    return CliRunner().invoke(root, ["snapshot", *map(str, arguments)])


@pytest.fixture
def criu(tmp_path, settings, monkeypatch):
    """A program that could be CRIU, in an environment of the fixed model; both can be changed."""
    settings()
    program = tmp_path / "criu"
    program.touch(mode=0o755)
    monkeypatch.setenv("ROOKERY_CRIU", str(program))
    before = dict(os.environ)
    yield program
    os.environ.clear()  # func.yaml completes it
    os.environ.update(before)


# --- the group -----------------------------------------------------------------------------


COMMANDS = ["bench", "check", "create", "inspect", "run"]


def test_its_help_lists_every_command_with_what_it_does():
    shown = invoke("--help")
    listed = shown.output.partition("Commands:")[2]
    rows = dict(line.split(maxsplit=1) for line in listed.splitlines() if line.strip())
    assert set(COMMANDS) <= rows.keys()
    assert "keep them as private as the model" in " ".join(shown.output.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name):
    shown = invoke(name, "--help")
    assert shown.exit_code == 0, shown.output
    assert "Examples:" in shown.output
    assert f"  rookery snapshot {name}" in shown.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("fly",), "No such command 'fly'"),
        (("create", "classify"), "Missing option '-o' / '--output'"),
        (("create", "-o", "made"), "Missing argument 'FUNCTION'"),
        (("create", "classify", "-o", __file__), "is a file"),
        (("run",), "Missing argument 'DIRECTORY'"),
        (("run", "made", "--bogus"), "No such option"),
        (("run", "made", "--port", "many"), "'many' is not a valid integer"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(arguments, complaint):
    shown = invoke(*arguments)
    assert shown.exit_code == 2
    assert complaint in shown.output


# --- create --------------------------------------------------------------------------------


@pytest.fixture
def orders(criu, monkeypatch):
    """What `create` has asked for; nothing is made."""
    asked = []

    def create(plan, directory, *, on_line):
        assert plan.program == str(criu)
        asked.append((plan, directory))
        on_line("ready for a snapshot")
        return Made(Layout(270_400_000, 15_600_000, 200, 16), 7.34, 0.96)

    monkeypatch.setattr(create_module, "create", create)
    return asked


def created(*arguments):
    return invoke("create", "classify", "-o", "made", f"--functions={FUNCTIONS}", *arguments)


def test_what_is_done_and_what_was_made_is_told(orders):
    shown = created()
    assert shown.stderr == "warming classify up\n  ready for a snapshot\n"
    assert shown.stdout == (
        "made: classify, 270.4 MB mapped when it wakes and 15.6 MB copied; warmed in 7.3 s, "
        "dumped in 1.0 s\n"
    )
    assert len(orders) == 1


def test_the_donor_serves_the_function_from_wherever_it_is(orders):
    created()
    ((plan, directory),) = orders
    assert (plan.function, plan.folder, directory) == (
        "classify",
        FUNCTIONS / "classify",
        Path("made"),
    )
    module = ("-P", "-m", "rookery")
    assert plan.command == (sys.executable, *module, "serve", str(FUNCTIONS / "classify"))


def test_model_and_backend_of_the_command_line_are_the_donors(orders):
    created("--model", "penguins/1", "--backend", "fixed")
    ((plan, _),) = orders
    assert plan.environ["ROOKERY_MODEL"] == "penguins/1"
    assert plan.environ["ROOKERY_BACKEND"] == plan.frozen["ROOKERY_BACKEND"] == "fixed"
    assert plan.frozen["model"].startswith("penguins/1 (")


def test_no_secret_is_given_to_the_donor_and_all_are_looked_for(orders, monkeypatch):
    secrets = {"S3_ACCESS_KEY": "key-id", "S3_SECRET_KEY": "hush", "AWS_SESSION_TOKEN": "token"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    created()
    ((plan, _),) = orders
    assert secrets.keys().isdisjoint(plan.environ)
    assert {name: plan.secrets.get(name) for name in secrets} == secrets


def refused(error, *arguments):
    shown = invoke("create", *arguments, f"--functions={FUNCTIONS}")
    assert isinstance(shown.exception, error), shown.output
    return exit_code(shown.exception), str(shown.exception)


def test_what_must_not_be_replaced_is_said_before_anything_is_warmed(orders, tmp_path):
    (tmp_path / "photo.jpg").touch()
    assert refused(SnapshotInvalid, "classify", "-o", tmp_path)[0] == 78
    assert orders == []


def test_so_is_a_criu_that_is_missing(orders, monkeypatch):
    monkeypatch.setenv("ROOKERY_CRIU", "/no/such/criu")
    assert refused(CriuMissing, "classify", "-o", "made")[0] == 78
    assert orders == []


def test_a_function_that_is_unknown_is_an_error(orders):
    assert "there is no function 'sing'" in refused(FunctionInvalid, "sing", "-o", "made")[1]
    assert orders == []


# --- run -----------------------------------------------------------------------------------


@pytest.fixture
def snapshot(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    described = manifest.Manifest(
        function="classify", folder="/srv/classify", made="", facts={}, frozen=FROZEN, pipes={},
        sizes={}, files={},
    )  # fmt: skip
    manifest.write(str(folder), described)
    return folder


@pytest.fixture
def woken(criu, monkeypatch):
    """What waking was asked for; it ends with the status that the last item is replaced by."""
    asked = []

    def waking(directory, arguments, *, program, environ):
        assert program == str(criu)
        asked.append((directory, arguments, environ))
        return 7

    monkeypatch.setattr(wake, "wake", waking)
    return asked


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ((), ()),
        (("--port=0",), ("--port", "0")),
        (("--port", "9000", "--host", "::1"), ("--host", "::1", "--port", "9000")),
    ],
)
def test_the_function_it_was_made_of_is_served(snapshot, woken, options, arguments):
    assert invoke("run", snapshot, *options).exit_code == 7
    ((directory, rest, _),) = woken
    assert (directory, rest) == (str(snapshot), ("/srv/classify", *arguments))


def test_what_is_fixed_in_it_need_not_be_set_again(snapshot, woken, monkeypatch):
    for name in (*FROZEN, "ROOKERY_MODEL"):
        monkeypatch.delenv(name, raising=False)
    invoke("run", snapshot)
    ((_, _, environ),) = woken
    fixed = {"ROOKERY_BACKEND": "fixed", "ROOKERY_THREADS": "", "ROOKERY_MODEL": "penguins/1"}
    assert environ == {**os.environ, **fixed}


def test_what_is_set_here_counts_so_that_a_difference_is_noticed(snapshot, woken, monkeypatch):
    monkeypatch.setenv("ROOKERY_BACKEND", "openvino")
    invoke("run", snapshot)
    ((_, _, environ),) = woken
    assert environ["ROOKERY_BACKEND"] == "openvino"


def test_a_folder_that_is_no_snapshot_is_an_error(woken, tmp_path):
    shown = invoke("run", tmp_path / "nothing")
    assert isinstance(shown.exception, SnapshotInvalid)
    assert woken == []


def test_what_cannot_be_woken_is_an_error_and_no_boot(snapshot, criu, monkeypatch):
    def waking(*_, **__):
        raise SnapshotFailed("CRIU gave no reason")

    assert criu.exists()
    monkeypatch.setattr(wake, "wake", waking)
    assert exit_code(invoke("run", snapshot).exception) == 69
