import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from rookery import errors
from rookery.cli import main
from rookery.cli.root import exit_code, root

COMMANDS = [
    "broker", "ceph", "deadletters", "models", "put", "reconcile", "serve", "snapshot", "source",
    "storage", "up",
]  # fmt: skip


def invoke(*arguments):
    return CliRunner().invoke(root, arguments)


def test_help_lists_every_command_with_what_it_does():
    shown = invoke("--help")
    assert shown.exit_code == 0
    listed = shown.output.partition("Commands:")[2].partition("Start with")[0]
    rows = dict(line.split(maxsplit=1) for line in listed.splitlines() if line.strip())
    assert sorted(rows) == COMMANDS
    assert all(text.endswith(".") or "functions" in text for text in rows.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    for flag in ("--help", "-h"):
        shown = invoke(name, flag)
        assert shown.exit_code == 0, shown.output
        assert shown.output.startswith("Usage: ")


def test_the_version_is_the_packages():
    import rookery

    assert rookery.__version__ in invoke("--version").output


def test_an_unknown_command_is_a_usage_error():
    shown = invoke("fly")
    assert shown.exit_code == 2
    assert "No such command 'fly'" in shown.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ImageUndecodable("x"), 65),
        (errors.ObjectGone("x"), 65),
        (errors.StorageUnavailable("x"), 69),
        (errors.DownloadUnavailable("x"), 69),
        (errors.Overloaded("x"), 75),
        (errors.ModelNotFound("x"), 78),
        (errors.SettingsInvalid(["x"]), 78),
        (errors.PortTaken("x"), 78),
        (errors.RookeryError("x"), 1),
    ],
)
def test_the_exit_status_tells_a_retry_from_a_repair(error, code):
    assert exit_code(error) == code


def test_an_error_of_ours_is_one_message_and_an_exit_status(monkeypatch, capsys):
    @click.command()
    def failing():
        raise errors.ModelNotFound("there is no model dodo")

    monkeypatch.setattr("rookery.cli.root.root", lambda: failing(args=[]))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 78
    assert click.unstyle(capsys.readouterr().err) == "rookery: there is no model dodo\n"


def test_a_fault_of_ours_is_not_hidden(monkeypatch):
    def failing():
        raise ZeroDivisionError

    monkeypatch.setattr("rookery.cli.root.root", failing)
    with pytest.raises(ZeroDivisionError):
        main()


def test_the_module_is_the_command():
    shown = subprocess.run(
        (sys.executable, "-m", "rookery", "--version"), capture_output=True, text=True, check=True
    )
    assert "version" in shown.stdout
