"""The command tree: names and one-line helps here, each command's code loaded when it is run."""

import sys
from importlib import import_module
from typing import Final

import click

from rookery.errors import Misconfigured, Overloaded, Rejected, RookeryError, Unavailable

# name -> (module, one line); the module defines `command`. Kept as data so that
# `rookery --help` imports nothing but this file.
_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "broker": ("rookery.cli.broker", "Run and inspect the embedded broker."),
    "ceph": ("rookery.cli.ceph", "Run a real Ceph on this machine, and its notifications."),
    "deadletters": ("rookery.cli.deadletters", "List, show, retry and drop dead letters."),
    "models": ("rookery.cli.models", "List, pull, import, check and quantize models."),
    "put": ("rookery.cli.put", "Upload images, wait for their results and print them."),
    "reconcile": (
        "rookery.cli.reconcile",
        "Send events for the objects of a bucket that have no result.",
    ),
    "serve": ("rookery.cli.serve", "Serve one function over HTTP."),
    "snapshot": ("rookery.cli.snapshot", "Make, look into and wake snapshots of warmed functions."),
    "source": ("rookery.cli.source", "Turn bucket notifications into events for a sink."),
    "storage": ("rookery.cli.storage", "Run the embedded S3."),
    "up": ("rookery.cli.up", "Run it all on this machine: bucket, broker, source, functions."),
}

# sysexits(3), so that scripts can tell a retry from a repair.
_EXIT_CODES: Final[tuple[tuple[type[RookeryError], int], ...]] = (
    (Rejected, 65),
    (Unavailable, 69),
    (Overloaded, 75),
    (Misconfigured, 78),
)
_IO_ERROR: Final = 74


class _LazyGroup(click.Group):
    """A group that imports a command's module only when that command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(_COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{_COMMANDS[cmd_name][0]}.command is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(_COMMANDS.items())])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `rookery up`, then `rookery put photo.jpg`.",
)
@click.version_option(package_name="rookery")
def root() -> None:
    """Drop an image into a bucket, get an inference event out."""


def exit_code(error: RookeryError) -> int:
    """Return the process exit code for *error*, as sysexits(3) names them."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)


def main() -> None:
    """Run the command line; an error of ours is one message and an exit code, no traceback."""
    try:
        root()
    except RookeryError as exc:
        click.secho(f"rookery: {exc}", fg="red", err=True)
        sys.exit(exit_code(exc))
    except OSError as exc:
        # A disk that is full, a folder that may not be written to: the system's words say it.
        click.secho(f"rookery: {exc}", fg="red", err=True)
        sys.exit(_IO_ERROR)
