"""`rookery ceph`: a real Ceph on this machine, and its bucket notifications."""

import json
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from pathlib import Path

    from rookery.storage.ceph.node import Told
    from rookery.storage.ceph.state import CephNode
    from rookery.storage.ceph.status import NodeStatus

_GIBIBYTE: Final = 1024**3
_MEBIBYTE: Final = 1024**2
_NOT_UP: Final = 3  # as `systemctl status` ends for a service that does not run
_GROUPS: Final = {"notifications": "rookery.cli.ceph_notifications"}


class _Group(click.Group):
    """Loads the code of a group below this one only when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_GROUPS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _GROUPS:
            return super().get_command(ctx, cmd_name)
        command = import_module(_GROUPS[cmd_name]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{_GROUPS[cmd_name]}.command is no click command")
        return command


@click.group(cls=_Group)
def command() -> None:
    """Run a real Ceph on this machine, below ROOKERY_HOME/ceph."""


@command.command(
    epilog="""\b
Examples:
  rookery ceph up
  rookery ceph up --port 0
  rookery ceph up --memory          (gone after a crash or a reboot; for tests)
"""
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port of the S3 API; 0 picks a free one.  [default: 7480, then the same again]",
)
@click.option(
    "--memory", is_flag=True, help="Keep objects in memory; on disk only over `rookery ceph down`."
)
@click.option(
    "--size-gib",
    type=click.FloatRange(1, 1024),
    help="How much the node may hold.  [default: 10]",
)
def up(*, port: int | None, memory: bool, size_gib: float | None) -> None:
    """Bring the node up: make it the first time, start what does not run, leave what does.

    It stays up until `rookery ceph down`, and its data until `rookery ceph down --delete`.
    """
    from rookery.storage.ceph.node import Wanted, bring_up

    wanted = Wanted(
        port=port,
        store="memstore" if memory else None,
        store_bytes=None if size_gib is None else int(size_gib * _GIBIBYTE),
    )
    brought = bring_up(_home(), wanted, _told())
    word = "is up already" if brought.was_up else "is up"
    click.echo(f"Ceph {word} at {brought.node.endpoint}")
    if not brought.was_up:
        click.echo('  eval "$(rookery ceph env)"   points aws, boto3 and rookery at it')
        click.echo("  rookery ceph down            stops it; its data stays")


@command.command(
    epilog="""\b
Examples:
  rookery ceph down
  rookery ceph down --delete --yes
"""
)
@click.option("--delete", is_flag=True, help="Delete the node and every object in it, too.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def down(*, delete: bool, yes: bool) -> None:
    """Stop the node; the next `rookery ceph up` brings it back with its data."""
    from rookery.storage.ceph.node import take_down
    from rookery.storage.ceph.state import node_folder

    home = _home()
    folder = node_folder(home)
    if delete and folder.exists() and not yes:
        click.confirm(f"Delete {folder} and every object in it?", abort=True)
    existed = folder.exists()
    ran = take_down(home, delete=delete, told=_told())
    click.echo("Ceph is down" if ran else "Ceph was not up")
    if delete:
        click.echo(f"deleted {folder}" if existed else f"there is no node in {folder}")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(*, as_json: bool) -> None:
    """Show each daemon, the health, the address and the size.

    The exit status is 0 when every daemon runs and S3 answers, and 3 otherwise.
    """
    from rookery.storage.ceph.state import read_node
    from rookery.storage.ceph.status import status_of

    node = read_node(_home())
    if node is None:
        if as_json:
            click.echo(json.dumps({"up": False, "daemons": []}))
        else:
            click.echo("there is no Ceph here; make one with: rookery ceph up")
        raise SystemExit(_NOT_UP)
    found = status_of(node)
    click.echo(json.dumps(asdict(found)) if as_json else _table(found))
    if not found.up:
        raise SystemExit(_NOT_UP)


@command.command(
    epilog="""\b
Examples:
  eval "$(rookery ceph env)" && aws s3 ls
  eval "$(rookery ceph env --bucket photos)" && rookery serve classify
"""
)
@click.option("--bucket", default="images", show_default=True, help="What functions may read from.")
def env(*, bucket: str) -> None:
    """Print shell commands that point aws, boto3 and rookery at the node. Holds its secret key."""
    from rookery.storage.ceph.exports import shell_exports

    click.echo(shell_exports(_node(), bucket=bucket))


def _node() -> "CephNode":
    from rookery.errors import CephInvalid
    from rookery.storage.ceph.state import node_folder, read_node

    home = _home()
    if (node := read_node(home)) is None:
        raise CephInvalid(
            f"there is no Ceph in {node_folder(home)}; make one with: rookery ceph up"
        )
    return node


def _home() -> "Path":
    from rookery.settings import read_home

    return read_home()


def _told() -> "Told":
    from rookery.local.present import stage_line
    from rookery.storage.ceph.node import Told

    return Told(
        lambda name, seconds: click.echo(stage_line(name, seconds)),
        lambda text: click.echo(text, err=True),
    )


def _table(found: "NodeStatus") -> str:
    rows = [
        (daemon.name, daemon.program, "down" if daemon.pid is None else f"pid {daemon.pid}")
        for daemon in found.daemons
    ]
    answer = "" if found.answers else "  (does not answer)"
    rows_below = [
        ("health", found.health),
        ("s3", found.endpoint + answer),
        ("version", found.version),
        ("store", found.store),
        ("on disk", f"{found.disk_bytes / _MEBIBYTE:,.0f} MiB in {found.folder}"),
    ]
    lines = [f"{name:11}{program:10}{state}" for name, program, state in rows]
    return "\n".join(lines + [f"{name:11}{value}" for name, value in rows_below])
