"""`rookery snapshot`: a warmed function as files, and back."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from rookery.cli.endings import ending_in_order
from rookery.cli.function_folders import functions_option

# name -> (module, attribute)
_REPORTS: Final = {
    "bench": ("rookery.cli.snapshot_bench", "bench"),
    "check": ("rookery.cli.snapshot_report", "check"),
    "inspect": ("rookery.cli.snapshot_report", "inspect"),
}

_directory = click.argument("directory", type=click.Path(path_type=Path, file_okay=False))


class _Group(click.Group):
    """A group that imports what only looks into snapshots when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_REPORTS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _REPORTS:
            return super().get_command(ctx, cmd_name)
        module, name = _REPORTS[cmd_name]
        found: click.Command = getattr(import_module(module), name)
        return found


@click.group(name="snapshot", cls=_Group)
def command() -> None:
    """Make, look into and wake snapshots of warmed functions.

    A snapshot is a process that has loaded and warmed its model, written to files by CRIU. Waking
    it takes a fraction of the time that booting takes. Its files hold all of the process's memory:
    keep them as private as the model. `rookery snapshot check` says whether it can be done here.
    """


@command.command(
    epilog="""\b
Examples:
  rookery snapshot create classify -o snapshot/
  ROOKERY_BACKEND=openvino rookery snapshot create classify -o snapshot/
  rookery serve classify --snapshot snapshot/
"""
)
@click.argument("function")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder to make; an older snapshot there is replaced.",
)
@functions_option
@click.option("--model", help="The model to load, NAME or NAME/VERSION [ROOKERY_MODEL].")
@click.option("--backend", help="openvino, auto or another library [ROOKERY_BACKEND].")
@ending_in_order()
def create(
    *, function: str, output: Path, root: Path, model: str | None, backend: str | None
) -> None:
    """Load and warm FUNCTION, and write it to a folder.

    Credentials, tokens and addresses are not part of it: they are read when it wakes.
    """
    from rookery.cli.serve import Options, Plan
    from rookery.cli.snapshot_report import megabytes
    from rookery.frozen import (
        computing,
        donor_environment,
        frozen,
        literal_secrets,
        secrets_in,
    )
    from rookery.snapshots import criu
    from rookery.snapshots.create import Plan as Order
    from rookery.snapshots.create import create as make
    from rookery.snapshots.create import require_replaceable

    require_replaceable(output)
    program = criu.find_in(os.environ)
    secrets = secrets_in(os.environ)
    plan = Plan.read(Options(function, root, None, None, model, backend, None))
    folder = plan.folder.path.absolute()
    order = Order(
        function=plan.folder.name,
        folder=folder,
        # -P: the donor works in the folder for temporary files, where anybody may put a module.
        command=(sys.executable, "-P", "-m", "rookery", "serve", str(folder)),
        environ=donor_environment(os.environ, plan.settings),
        frozen={**frozen(plan.settings, plan.folder), **computing(os.environ)},
        secrets={**literal_secrets(plan.folder), **secrets},
        program=program,
    )
    click.echo(f"warming {plan.folder.name} up", err=True)
    made = make(order, output, on_line=lambda line: click.echo(f"  {line}", err=True))
    click.echo(
        f"{output}: {plan.folder.name}, {megabytes(made.layout.mapped)} mapped when it wakes and "
        f"{megabytes(made.layout.copied)} copied; warmed in {made.warm_seconds:.1f} s, "
        f"dumped in {made.dump_seconds:.1f} s"
    )


@command.command(
    epilog="""\b
Examples:
  rookery snapshot run snapshot/
  rookery snapshot run snapshot/ --port 9000
""",
)
@_directory
@click.option("--host", help="The address to listen on [ROOKERY_HOST].")
@click.option("--port", type=int, help="The port to listen on; 0 picks a free one [PORT].")
def run(*, directory: Path, host: str | None, port: int | None) -> None:
    """Wake the snapshot in DIRECTORY and serve; end with an error where that cannot be.

    What is fixed in it, such as the backend, need not be set again. `rookery serve FUNCTION
    --snapshot DIRECTORY` boots instead where it cannot be woken.
    """
    from rookery.frozen import variables
    from rookery.snapshots import criu, manifest
    from rookery.snapshots.wake import wake

    described = manifest.read(str(directory))
    options = [
        part
        for name, value in (("--host", host), ("--port", port))
        if value is not None
        for part in (name, str(value))
    ]
    sys.exit(
        wake(
            str(directory),
            (described.folder, *options),
            program=criu.find_in(os.environ),
            environ={**variables(described.frozen), **os.environ},
        )
    )
