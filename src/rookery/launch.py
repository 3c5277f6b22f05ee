"""The `rookery` command's entry: a snapshot is woken before any command is imported.

A command line that names a snapshot is recognized by hand, because the library that parses the
others takes longer to import than a snapshot takes to wake. Whatever is unclear is left to it.
"""

import os
import sys
from collections.abc import Mapping, Sequence


def main() -> None:
    """Run the command line."""
    arguments = sys.argv[1:]
    directory = snapshot_of(arguments)
    if directory is not None and (status := _wake(directory, arguments)) is not None:
        sys.exit(status)
    from rookery.cli import main as run_command

    run_command()


def snapshot_of(arguments: Sequence[str]) -> str | None:
    """Return the folder after `--snapshot` of `rookery serve`; None where there is none."""
    if not arguments or arguments[0] != "serve" or {"-h", "--help", "--"} & set(arguments):
        return None
    found = None  # the last one counts, as it does for any other option
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        if argument == "--snapshot":
            found = following
        elif argument.startswith("--snapshot="):
            found = argument.partition("=")[2]
    return found


def _forbidden(environ: Mapping[str, str]) -> bool:
    """Whether the operator wants no snapshots here."""
    return environ.get("ROOKERY_SNAPSHOT") == "none"


def _wake(directory: str, arguments: Sequence[str]) -> int | None:
    """Return the status the woken snapshot ended with; None, and a line, where it was not woken."""
    from rookery.errors import RookeryError

    if _forbidden(os.environ):
        _say_why_not("ROOKERY_SNAPSHOT=none")
        return None
    from rookery.snapshots import criu, wake

    try:
        return wake.wake(
            directory,
            arguments[1:],
            program=criu.find_in(os.environ),
            environ=os.environ,
        )
    except (RookeryError, OSError) as error:
        _say_why_not(str(error))
        return None


def _say_why_not(reason: str) -> None:
    if sys.stderr is not None:  # as it is where it was closed
        sys.stderr.write(f"rookery: booting without the snapshot: {reason}\n")
