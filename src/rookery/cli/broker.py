"""`rookery broker`: run the embedded broker, look into it, and replay from it."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rookery.events.broker.client import Position
    from rookery.events.wire import CloudEvent

_URL: Final = "http://127.0.0.1:8081"
_DAY: Final = 86_400
_MEBIBYTE: Final = 1024 * 1024

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
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8081,
    show_default=True,
    help="The port to listen on; 0 picks a free one.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The journal's file.  [default: broker.db in ROOKERY_HOME]",
)
@click.option(
    "--threads",
    type=click.IntRange(2, 512),
    default=32,
    show_default=True,
    help="Requests worked on at the same time; a quarter of them may wait for events.",
)
@click.option(
    "--max-event-bytes",
    type=click.IntRange(1024),
    default=8 * _MEBIBYTE,
    show_default=True,
    help="The longest request, and the longest reply.",
)
@click.option(
    "--keep-days",
    type=click.FloatRange(0),
    default=7,
    show_default=True,
    help="How long delivered events stay, for replay and to absorb repeats.",
)
@click.option(
    "--keep-mebibytes",
    type=click.IntRange(1),
    default=2048,
    show_default=True,
    help="Above this size of the journal the oldest delivered events go earlier.",
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0),
    default=10,
    show_default=True,
    help="How long requests and deliveries in flight may take after SIGTERM.",
)
@click.option(
    "--pin/--no-pin",
    default=True,
    show_default=True,
    help="Run on one CPU, which makes the broker faster; Linux only.",
)
def serve(  # noqa: PLR0913
    *,
    files: tuple[Path, ...],
    host: str,
    port: int,
    journal: Path | None,
    threads: int,
    max_event_bytes: int,
    keep_days: float,
    keep_mebibytes: int,
    drain_seconds: float,
    pin: bool,
) -> None:
    """Run the broker until SIGTERM or Ctrl-C.

    Events are POSTed to any path. What is accepted (202) is on disk: it survives kill -9 and a
    power cut, and is delivered after the next start.
    """
    from rookery.events.broker.retention import Retention
    from rookery.events.broker.service import Limits, open_broker
    from rookery.events.broker.trigger import parse_triggers
    from rookery.logs import configure_logs
    from rookery.serving.server import serve as serve_http
    from rookery.settings import Settings

    configure_logs()
    if pin:
        _use_one_cpu()
    triggers = parse_triggers("\n---\n".join(_text(file) for file in files))
    with open_broker(
        journal or Settings.read().home / "broker.db",
        triggers,
        limits=Limits(
            event_bytes=max_event_bytes,
            waiting=max(1, threads // 4),
            drain_seconds=drain_seconds,
        ),
        retention=Retention(seconds=keep_days * _DAY, max_bytes=keep_mebibytes * _MEBIBYTE),
    ) as broker:
        serve_http(
            broker.app,
            host=host,
            port=port,
            threads=threads,
            max_body_bytes=max_event_bytes,
            drain_seconds=drain_seconds,
            on_listening=lambda url: click.echo(f"broker listening on {url}"),
            on_drain=broker.drain,
            on_refused=broker.refused,
        )


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
    from rookery.events.broker import client

    position = _position(after)
    if follow:
        found = client.follow(
            url, after=position, type_prefix=type_prefix, subject=subject, stop=lambda: False
        )
    else:
        found = client.read(url, after=position, type_prefix=type_prefix, subject=subject)
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
    from rookery.events.broker import client

    chosen = {
        "after": None if after is None else str(after),
        "since": since,
        "deadletters": "true" if dead_letters else None,
    }
    what = {name: value for name, value in chosen.items() if value is not None}
    if len(what) != 1:
        raise click.UsageError("give exactly one of --after, --since and --dead-letters")
    click.echo(f"{client.replay(url, trigger, **what)} queued for {trigger}")


@command.command()
@_url
@click.option("--json", "as_json", is_flag=True, help="Print what the broker answers.")
def triggers(*, url: str, as_json: bool) -> None:
    """List the triggers, what waits for them, and their dead letters."""
    from rookery.events.broker import client

    listed = client.triggers(url)
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


def _use_one_cpu() -> None:
    """Keep this process, whose threads are still to come, on the last CPU it may use.

    One interpreter lock runs one thread at a time anyway; on one CPU handing it over needs no
    interrupt between CPUs, and ingress takes half as many events again.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _position(text: str) -> "Position":
    if text == "now":
        return "now"
    if text.isascii() and text.isdecimal():
        return int(text)
    raise click.BadParameter(f'must be an offset or "now", not {text!r}', param_hint="--after")


def _print(offset: int, event: "CloudEvent") -> None:
    from rookery.events.wire import to_document

    click.echo(json.dumps({"offset": offset, "event": to_document(event)}))
