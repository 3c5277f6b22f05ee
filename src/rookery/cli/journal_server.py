"""What the commands that serve a journal over HTTP share: their options, and how they run."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rookery.events.broker.retention import Retention
    from rookery.events.broker.service import Broker, Limits

_DAY: Final = 86_400
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class JournalServer:
    """The options, as given."""

    host: str
    port: int
    journal: Path | None
    threads: int
    max_body_bytes: int
    keep_days: float
    keep_mebibytes: int
    keep_dead_letters_days: float
    drain_seconds: float
    pin: bool

    def journal_or(self, name: str) -> Path:
        """Return the journal's file: the one given, or *name* in ROOKERY_HOME."""
        from rookery.settings import Settings

        return self.journal or Settings.read().home / name

    @property
    def limits(self) -> "Limits":
        """What may come in and wait."""
        from rookery.events.broker.service import Limits

        return Limits(
            event_bytes=self.max_body_bytes,
            waiting=max(1, self.threads // 4),
            drain_seconds=self.drain_seconds,
        )

    @property
    def retention(self) -> "Retention":
        """How long delivered events stay."""
        from rookery.events.broker.retention import Retention

        return Retention(
            seconds=self.keep_days * _DAY,
            dead_seconds=self.keep_dead_letters_days * _DAY,
            max_bytes=self.keep_mebibytes * _MEBIBYTE,
        )

    def prepare(self) -> None:
        """Set up this process, before its first thread."""
        from rookery.logs import configure_logs

        configure_logs()
        if self.pin:
            _use_one_cpu()

    def serve(self, broker: "Broker", announce: Callable[[str], str]) -> None:
        """Serve *broker* until SIGTERM or Ctrl-C; print what *announce* makes of the URL."""
        from rookery.serving.bearer import with_bearer
        from rookery.serving.limits import Limits
        from rookery.serving.server import serve as serve_http
        from rookery.settings import Settings

        settings = Settings.read()
        serve_http(
            with_bearer(broker.app, settings.accepted_tokens(), broker.refused),
            host=self.host,
            port=self.port,
            threads=self.threads,
            max_body_bytes=self.max_body_bytes,
            drain_seconds=self.drain_seconds,
            on_listening=lambda url: click.echo(announce(url)),
            on_drain=broker.drain,
            on_refused=broker.refused,
            limits=Limits(
                settings.header_seconds,
                settings.body_seconds,
                connections=settings.max_connections,
            ),
        )


def journal_server(
    *, port: int, journal: str, limit: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options to a command, which gets them as one value, `server`.

    Args:
        port: the default of --port.
        journal: the file name that --journal has by default, in ROOKERY_HOME.
        limit: the name of the option for the longest request.
    """
    options = (
        click.option(
            "--host", default="127.0.0.1", show_default=True, help="The address to listen on."
        ),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=port,
            show_default=True,
            help="The port to listen on; 0 picks a free one.",
        ),
        click.option(
            "--journal",
            type=click.Path(path_type=Path, dir_okay=False),
            help=f"The journal's file.  [default: {journal} in ROOKERY_HOME]",
        ),
        click.option(
            "--threads",
            type=click.IntRange(2, 512),
            default=32,
            show_default=True,
            help="Requests worked on at the same time; a quarter of them may wait for events.",
        ),
        click.option(
            limit,
            "max_body_bytes",
            type=click.IntRange(1024),
            default=8 * _MEBIBYTE,
            show_default=True,
            help="The longest request, and the longest answer to a delivery.",
        ),
        click.option(
            "--keep-days",
            type=click.FloatRange(0),
            default=7,
            show_default=True,
            help="How long delivered events stay, for replay and to absorb repeats.",
        ),
        click.option(
            "--keep-mebibytes",
            type=click.IntRange(1),
            default=2048,
            show_default=True,
            help="Above this size of the journal the oldest delivered events go earlier.",
        ),
        click.option(
            "--keep-dead-letters-days",
            type=click.FloatRange(0),
            default=30,
            show_default=True,
            help="How long dead letters stay; 0 keeps them for ever.",
        ),
        click.option(
            "--drain-seconds",
            type=click.FloatRange(0),
            default=10,
            show_default=True,
            help="How long requests and deliveries in flight may take after SIGTERM.",
        ),
        click.option(
            "--pin/--no-pin",
            default=True,
            show_default=True,
            help="Run on one CPU, which is faster; Linux only.",
        ),
    )

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**words: object) -> None:
            given = {field.name: words.pop(field.name) for field in fields(JournalServer)}
            command(server=JournalServer(**given), **words)  # type: ignore[arg-type]

        for option in reversed(options):
            run = option(run)
        return run

    return decorate


def _use_one_cpu() -> None:
    """Keep this process, whose threads are still to come, on the last CPU it may use.

    One interpreter lock runs one thread at a time anyway; on one CPU handing it over needs no
    interrupt between CPUs, and ingress takes half as many events again.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
