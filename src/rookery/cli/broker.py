"""`rookery broker`: run the embedded broker, look into it, and replay from it."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rookery.cli.journal_server import JournalServer, journal_server

if TYPE_CHECKING:
    from rookery.events.broker.client import Position
    from rookery.events.wire import CloudEvent

_URL: Final = "http://127.0.0.1:8081"

_url = click.option(
    "--url", default=_URL, show_default=True, help="The address of the running broker."
)


@click.group(name="broker")
def command() -> None:
    """Run and inspect the embedded broker.

    It takes CloudEvents over HTTP, keeps them in a journal on disk, and delivers them to the
    subscribers of Knative Triggers, at least once.
    """


@command.command(
    epilog="""\b
Examples:
  rookery broker serve --triggers triggers.yaml
  rookery broker serve --triggers a.yaml --triggers b.yaml --port 0 --journal /data/broker.db
"""
)
@click.option(
    "--triggers",
    "files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    required=True,
    help="A YAML file of Knative Trigger documents; may be given several times.",
)
@journal_server(port=8081, journal="broker.db", limit="--max-event-bytes")
def serve(*, files: tuple[Path, ...], server: JournalServer) -> None:
    """Run the broker until SIGTERM or Ctrl-C.

    Events are POSTed to any path. What is accepted (202) is on disk: it survives kill -9 and a
    power cut, and is delivered after the next start.
    """
    from rookery.events.broker.service import open_broker
    from rookery.events.broker.trigger import parse_triggers
    from rookery.settings import Settings

    server.prepare()
    triggers = parse_triggers("\n---\n".join(_text(file) for file in files))
    with open_broker(
        server.journal_or("broker.db"),
        triggers,
        limits=server.limits,
        retention=server.retention,
        outgoing=Settings.read().outgoing(),
    ) as broker:
        server.serve(broker, lambda url: f"broker listening on {url}")


@command.command(
    epilog="""\b
Examples:
  rookery broker events
  rookery broker events --follow --after now --type dev.rookery.
"""
)
@_url
@click.option(
    "--after", default="0", show_default=True, help='The offset to start after, or "now".'
)
@click.option("--type", "type_prefix", default="", help="Only types that begin so.")
@click.option("--subject", help="Only events with this subject.")
@click.option("--follow", "-f", is_flag=True, help="Go on as events come, until Ctrl-C.")
def events(*, url: str, after: str, type_prefix: str, subject: str | None, follow: bool) -> None:
    """Print journalled events, one JSON object a line: its offset, and the event."""
    from rookery.client_settings import read_client
    from rookery.events.broker import client

    broker, position = client.Address(url, read_client()), _position(after)
    if follow:
        found = client.follow(
            broker, after=position, type_prefix=type_prefix, subject=subject, stop=lambda: False
        )
    else:
        found = client.read(broker, after=position, type_prefix=type_prefix, subject=subject)
    try:
        for offset, event in found:
            _print(offset, event)
    except KeyboardInterrupt:
        sys.exit(130)


@command.command(
    epilog="""\b
Examples:
  rookery broker replay classify --dead-letters
  rookery broker replay classify --since 2026-01-31T12:00:00Z
  rookery broker replay classify --after 1200
"""
)
@click.argument("trigger")
@_url
@click.option("--after", type=click.IntRange(0), help="Events after this offset.")
@click.option("--since", help="Events received since this RFC 3339 time.")
@click.option("--dead-letters", is_flag=True, help="The trigger's dead letters.")
def replay(
    *, trigger: str, url: str, after: int | None, since: str | None, dead_letters: bool
) -> None:
    """Deliver journalled events that match TRIGGER to its subscriber again."""
    from rookery.client_settings import read_client
    from rookery.events.broker import client

    chosen = {
        "after": None if after is None else str(after),
        "since": since,
        "deadletters": "true" if dead_letters else None,
    }
    what = {name: value for name, value in chosen.items() if value is not None}
    if len(what) != 1:
        raise click.UsageError("give exactly one of --after, --since and --dead-letters")
    broker = client.Address(url, read_client())
    click.echo(f"{client.replay(broker, trigger, **what)} queued for {trigger}")


@command.command()
@_url
@click.option("--json", "as_json", is_flag=True, help="Print what the broker answers.")
def triggers(*, url: str, as_json: bool) -> None:
    """List the triggers, what waits for them, and their dead letters."""
    from rookery.client_settings import read_client
    from rookery.events.broker import client

    listed = client.triggers(client.Address(url, read_client()))
    if as_json:
        click.echo(json.dumps({"triggers": listed}))
        return
    rows = [("TRIGGER", "PENDING", "DEAD", "SUBSCRIBER")]
    rows += [
        (
            str(each["name"]),
            str(each["pending"]),
            str(each["dead"]),
            str(each["subscriber"] or "(not configured)"),
        )
        for each in listed
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _text(file: Path) -> str:
    from rookery.errors import TriggersInvalid

    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise TriggersInvalid([f"{file} cannot be read: {exc}"]) from exc


def _position(text: str) -> "Position":
    if text == "now":
        return "now"
    if text.isascii() and text.isdecimal():
        return int(text)
    raise click.BadParameter(f'must be an offset or "now", not {text!r}', param_hint="--after")


def _print(offset: int, event: "CloudEvent") -> None:
    from rookery.events.wire import to_document

    click.echo(json.dumps({"offset": offset, "event": to_document(event)}))
