"""`rookery ceph notifications`: what a file says of buckets' notifications, made so."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rookery.notifications.connection import Connection
    from rookery.notifications.difference import Difference
    from rookery.notifications.document import StoreKind
    from rookery.notifications.notification import Existing, Notification, Wanted
    from rookery.notifications.protocol import NotificationStore

_FILE: Final = "ceph/notifications.yaml"
_AWS_HOSTS: Final = (".amazonaws.com", ".amazonaws.com.cn")

_file = click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=_FILE,
    show_default=True,
    help="The file of notifications.",
)
_endpoint_url = click.option(
    "--endpoint-url",
    help="The S3 endpoint [S3_ENDPOINT_URL]; without it, the node of `rookery ceph up`.",
)
_prune = click.option(
    "--prune", is_flag=True, help="Delete what the file's buckets have and the file does not."
)
_dry_run = click.option("--dry-run", is_flag=True, help="Show the changes and make none.")
_yes = click.option("--yes", is_flag=True, help="Delete what the file does not name unasked.")


@click.group(name="notifications")
def command() -> None:
    """Apply, list and remove bucket notifications, on Ceph 16 to 20 and on AWS.

    Credentials are S3_ACCESS_KEY and S3_SECRET_KEY, or boto3's own chain; without
    S3_ENDPOINT_URL, those of the node of `rookery ceph up`.
    """
    from rookery.logs import configure_logs

    configure_logs()


@command.command(
    epilog="""\b
Examples:
  rookery ceph notifications apply --dry-run
  rookery ceph notifications apply -f ceph/notifications.yaml
  RABBIT=amqps://user:secret@rabbit/ rookery ceph notifications apply \\
      --endpoint-url https://rgw.example.org
"""
)
@_file
@_endpoint_url
@_prune
@_dry_run
@_yes
def apply(*, file: Path, endpoint_url: str | None, prune: bool, dry_run: bool, yes: bool) -> None:
    """Make topics and notifications as the file says, and show what changes.

    What is so already is left alone, and so is what the file does not name.
    """
    from rookery.errors import NotificationsRefused
    from rookery.notifications.advice import advice, ineffective
    from rookery.notifications.difference import to_apply
    from rookery.notifications.document import store_kind

    wanted = _wanted(file)
    store = _store(store_kind(wanted), endpoint_url)
    existing = _read(store, wanted)
    difference = to_apply(wanted, existing, prune=prune)
    notes = advice(wanted, existing, difference)
    _show(difference, notes)
    if not _go_on(difference, dry_run=dry_run, yes=yes):
        return
    store.write(difference)
    after = _read(store, wanted)
    _note(note for note in ineffective(wanted, after) if note not in notes)
    if not to_apply(wanted, after).is_empty:
        raise NotificationsRefused(
            "the store took the changes and does not show them; look with: "
            "rookery ceph notifications list"
        )
    click.echo("applied")


@command.command(
    epilog="""\b
Examples:
  rookery ceph notifications remove --dry-run
  rookery ceph notifications remove --prune --yes
"""
)
@_file
@_endpoint_url
@_prune
@_dry_run
@_yes
def remove(*, file: Path, endpoint_url: str | None, prune: bool, dry_run: bool, yes: bool) -> None:
    """Delete the file's notifications, and its topics that nothing else uses.

    Events that a persistent topic has queued go with it.
    """
    from rookery.notifications.advice import advice
    from rookery.notifications.difference import to_remove
    from rookery.notifications.document import store_kind

    wanted = _wanted(file)
    kind = store_kind(wanted)
    store = _store(kind, endpoint_url)
    names = [topic.name for topic in wanted.topics]
    # Notifications of any bucket may lead to a topic of Ceph.
    existing = store.read(None if kind == "ceph" else wanted.buckets, names)
    difference = to_remove(wanted, existing, prune=prune)
    _show(difference, advice(wanted, existing, difference))
    if _go_on(difference, dry_run=dry_run, yes=yes):
        store.write(difference)
        click.echo("removed")


@command.command(
    name="list",
    epilog="""\b
Examples:
  rookery ceph notifications list
  rookery ceph notifications list --bucket images --json
""",
)
@_endpoint_url
@click.option("--bucket", "buckets", multiple=True, help="Only this one; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(*, endpoint_url: str | None, buckets: tuple[str, ...], as_json: bool) -> None:
    """List every notification of your buckets, and where it leads."""
    from rookery.cli.table import columns

    kind, connection = _anywhere(endpoint_url)
    existing = _connect(kind, connection).read(buckets or None)
    rows = [_row(one, existing) for one in existing.notifications]
    if as_json:
        click.echo(json.dumps({"notifications": rows}))
    elif not rows:
        click.echo("no notifications")
    else:
        names = ("bucket", "name", "events", "filter", "target", "endpoint", "persistent")
        lines = [[_cell(row[name]) for name in names] for row in rows]
        for line in columns([[name.upper() for name in names], *lines]):
            click.echo(line)


def _row(one: "Notification", existing: "Existing") -> dict[str, object]:
    from rookery.notifications.wording import filter_text

    # Ceph before 19 pushes by the copy.
    topic = existing.copies.get((one.id, one.target.name)) or existing.topics.get(one.target.name)
    return {
        "bucket": one.bucket,
        "name": one.id,
        "events": list(one.events),
        "filter": filter_text(one.filter),
        "target": one.target.name,
        "endpoint": str(topic.endpoint) if topic else None,
        "persistent": topic.persistent if topic else None,
    }


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value in {None, ""} else str(value)


def _wanted(file: Path) -> "Wanted":
    from rookery.errors import NotificationsInvalid
    from rookery.notifications.document import read_wanted

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise NotificationsInvalid([f"{file} cannot be read: {exc}"]) from exc
    return read_wanted(text, os.environ)


def _read(store: "NotificationStore", wanted: "Wanted") -> "Existing":
    return store.read(wanted.buckets, [topic.name for topic in wanted.topics])


def _show(difference: "Difference", notes: tuple[str, ...]) -> None:
    from rookery.notifications.wording import difference_lines

    colors = {"+": "green", "~": "yellow", "-": "red"}
    for line in difference_lines(difference):
        click.secho(line, fg=colors.get(line[0]))
    _note(notes)


def _note(notes: "Iterable[str]") -> None:
    for note in notes:
        click.secho(f"note: {note}", err=True, dim=True)


def _go_on(difference: "Difference", *, dry_run: bool, yes: bool) -> bool:
    if difference.is_empty:
        click.echo("nothing to change")
        return False
    if dry_run:
        click.echo("nothing was changed, as this is a dry run")
        return False
    if difference.removes_foreign and not yes:
        click.confirm("Delete what the file does not name?", abort=True)
    return True


def _store(kind: "StoreKind", endpoint_url: str | None) -> "NotificationStore":
    from rookery.errors import NotificationsInvalid

    found, connection = _anywhere(endpoint_url, local=kind == "ceph")
    if kind == "ceph" and found == "aws":
        problem = (
            "endpoint is for Ceph, and this is AWS: set S3_ENDPOINT_URL, bring a Ceph up with: "
            "rookery ceph up, or give queue or eventbridge"
        )
        raise NotificationsInvalid([problem])
    return _connect(kind, connection)


def _connect(kind: "StoreKind", connection: "Connection") -> "NotificationStore":
    from rookery.notifications.aws import AwsNotifications
    from rookery.notifications.ceph import CephNotifications

    return CephNotifications(connection) if kind == "ceph" else AwsNotifications(connection)


def _anywhere(endpoint_url: str | None, *, local: bool = True) -> "tuple[StoreKind, Connection]":
    """Find the store: as told, as set, or (where *local*) the node of `rookery ceph up`."""
    from urllib.parse import urlsplit

    from rookery.notifications.connection import Connection
    from rookery.settings import Settings
    from rookery.storage.ceph.state import read_node

    settings = Settings.read()
    told = endpoint_url or (str(settings.s3_endpoint_url) if settings.s3_endpoint_url else None)
    node = read_node(settings.home) if local and told is None else None
    if node is not None:
        return "ceph", Connection(node.endpoint, node.region, node.access_key, node.secret_key)
    aws = told is None or (urlsplit(told).hostname or "").endswith(_AWS_HOSTS)
    return "aws" if aws else "ceph", Connection(
        told,
        settings.s3_region,
        settings.s3_access_key,
        settings.s3_secret_key,
        settings.s3_access_key_file,
        settings.s3_secret_key_file,
        settings.s3_ca_file,
    )
