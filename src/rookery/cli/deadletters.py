"""`rookery deadletters`: what could not be delivered or processed, and what to do with it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from rookery.events.broker.client import Address, Dealt, Letter

P = ParamSpec("P")
R = TypeVar("R")

_URL: Final = "http://127.0.0.1:8081"

_url = click.option(
    "--url",
    help="The address of the running broker or receiver.  "
    f"[default: that of the running `rookery up`, else {_URL}]",
)
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters are meant; None means all of that kind."""

    trigger: str | None
    type: str | None
    subject: str | None
    reason: str | None
    since: str | None

    @property
    def fields(self) -> dict[str, str]:
        """What to ask the broker for."""
        names = ("trigger", "type", "subject", "reason", "since")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _filters(command: Callable[Concatenate[Wanted, P], R]) -> Callable[..., R]:
    """Add the options that choose dead letters; the command gets them as one value."""

    @click.option("--trigger", help="Only deliveries to this trigger.")
    @click.option("--type", help="Only events whose type begins so.")
    @click.option("--subject", help="Only events with this subject.")
    @click.option("--reason", help="Only where the reason holds this text, in any case.")
    @click.option("--since", help="Only those that died since this RFC 3339 time.")
    @wraps(command)
    def run(*args: P.args, **words: P.kwargs) -> R:
        names = ("trigger", "type", "subject", "reason", "since")
        wanted = Wanted(**{name: words.pop(name) for name in names})  # type: ignore[arg-type]
        return command(wanted, *args, **words)

    return run


@click.group(name="deadletters")
def command() -> None:
    """List, show, retry and drop dead letters.

    There are two kinds. TRIGGER/OFFSET is a delivery that the broker gave up: its subscriber
    refused the event for good, or too often. OFFSET is an event that a function or a source sent
    because it could not use what it got.
    """


@command.command(
    name="list",
    epilog="""\b
Examples:
  rookery deadletters list
  rookery deadletters list --reason ImageUndecodable --since 2026-01-31T12:00:00Z
  rookery deadletters list --json | jq -r .id
""",
)
@_url
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@_filters
def list_(wanted: Wanted, *, url: str | None, as_json: bool) -> None:
    """List dead letters, the oldest event first."""
    from rookery.local.letters import table_of

    found = _found(_broker(url), wanted)
    if as_json:
        for letter in found:
            click.echo(_json(letter))
        return
    letters = list(found)
    if not letters:
        click.echo("no dead letters", err=True)
        return
    click.echo(table_of(letters))


@command.command(
    epilog="""\b
Examples:
  rookery deadletters show classify-function-trigger-0/12
  rookery deadletters show --json 17 | jq .original
"""
)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@_url
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def show(*, ids: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Show all that is known of dead letters: the event, the reason, the answer, times."""
    from rookery.errors import RequestInvalid
    from rookery.events.broker import client
    from rookery.local.letters import text_of

    broker = _broker(url)
    for position, each in enumerate(ids):
        letter = next(client.dead_letters(broker, id=each), None)
        if letter is None:
            raise RequestInvalid(
                f"there is no dead letter {each!r}; `rookery deadletters list` names them"
            )
        if position and not as_json:
            click.echo()
        click.echo(_json(letter) if as_json else text_of(letter))


@command.command(
    epilog="""\b
Examples:
  rookery deadletters retry classify-function-trigger-0/12 17
  rookery deadletters retry --all --trigger classify-function-trigger-0
"""
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "every", is_flag=True, help="All, or all that the filters leave.")
@_url
@_yes
@_filters
def retry(wanted: Wanted, *, ids: tuple[str, ...], every: bool, url: str | None, yes: bool) -> None:
    """Deliver dead letters again.

    A delivery is made again to its trigger alone. Of a dead-letter event the event that it keeps
    goes to every trigger that wants it. What fails again is a dead letter again.
    """
    from rookery.events.broker import client

    broker = _broker(url)
    chosen = _chosen(broker, ids, wanted, every=every)
    if every and not wanted.fields and not yes:
        _confirm(f"Deliver all {len(chosen)} dead letters again?", chosen)
    _report(client.retry(broker, chosen), "queued again")


@command.command(
    epilog="""\b
Examples:
  rookery deadletters drop 17
  rookery deadletters drop --all --reason ObjectGone --yes
"""
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "every", is_flag=True, help="All, or all that the filters leave.")
@_url
@_yes
@_filters
def drop(wanted: Wanted, *, ids: tuple[str, ...], every: bool, url: str | None, yes: bool) -> None:
    """Give up dead letters: they are not listed any more, and never delivered.

    Their events stay in the journal for as long as all others.
    """
    from rookery.events.broker import client

    broker = _broker(url)
    chosen = _chosen(broker, ids, wanted, every=every)
    if every and not yes:
        _confirm(f"Give up {len(chosen)} dead letters?", chosen)
    _report(client.drop(broker, chosen), "dropped")


def _broker(url: str | None) -> "Address":
    from rookery.client_settings import read_client
    from rookery.events.broker.client import Address
    from rookery.local.state import read_state
    from rookery.settings import read_home

    if url is None:
        state = read_state(read_home())
        url = _URL if state is None else state.broker_url
    return Address(url.rstrip("/"), read_client())


def _found(broker: "Address", wanted: Wanted) -> Iterator["Letter"]:
    from rookery.events.broker import client

    return client.dead_letters(broker, **wanted.fields)


def _chosen(
    broker: "Address", ids: tuple[str, ...], wanted: Wanted, *, every: bool
) -> Sequence[str]:
    if every == bool(ids):
        raise click.UsageError("name dead letters, or give --all; `rookery deadletters list`")
    if ids and wanted.fields:
        raise click.UsageError("filters go with --all, not with names")
    return ids or [letter.id for letter in _found(broker, wanted)]


def _confirm(question: str, chosen: Sequence[str]) -> None:
    if chosen:
        click.confirm(question, abort=True, err=True)


def _report(dealt: "Dealt", what: str) -> None:
    for each, why in dealt.refused.items():
        click.secho(f"{each}: {why}", fg="red", err=True)
    click.echo(f"{len(dealt.done)} {what}")
    if dealt.refused:
        sys.exit(1)


def _json(letter: "Letter") -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(letter))
