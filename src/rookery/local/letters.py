"""Dead letters for a terminal: as text, and as they come."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import click

from rookery.errors import RequestInvalid, SinkUnavailable
from rookery.events.attributes import legal
from rookery.events.broker.client import Letter, Place, dead_letters
from rookery.events.timestamp import now

_REASON_CHARS: Final = 100
_PAUSE: Final = 1.0
# What json leaves as it is, and a terminal may take for a command.
_CONTROL: Final = re.compile(r"[\x7f-\x9f]")


def follow(broker: Place, *, stop: Callable[[], bool], pause: float = _PAUSE) -> Iterator[Letter]:
    """Yield each delivery that the broker gives up from now on, until *stop*.

    It is asked every *pause* seconds, also while it is away. Dead-letter events are left out: they
    come with all other events.
    """
    seen: set[tuple[str, str]] = set()
    since = now()
    while not stop():
        try:
            found = list(dead_letters(broker, since=since))
        except (SinkUnavailable, RequestInvalid):
            time.sleep(pause)
            continue
        new = [each for each in found if (each.id, each.died) not in seen]
        # What died in the last moment is told once more by the next answer.
        since = max((each.died for each in found), default=since)
        seen = {(each.id, each.died) for each in found}
        yield from (each for each in new if each.trigger is not None)
        time.sleep(pause)


def line_of(letter: Letter) -> str:
    """Return one colored line that says what was given up."""
    return (
        f"{click.style('✗', fg='red')} {_subject(letter)}  "
        f"{click.style(f'dead letter {letter.id}: {legal(letter.reason)}', fg='red')}"
    )


def table_of(letters: Iterable[Letter]) -> str:
    """Return a table, one line each, under a heading."""
    rows = [("ID", "DIED", "TYPE", "SUBJECT", "REASON")]
    rows += [
        (letter.id, letter.died, _type(letter), _subject(letter), _short(legal(letter.reason)))
        for letter in letters
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def text_of(letter: Letter) -> str:
    """Return all that is known of *letter*."""
    rows = {
        "id": letter.id,
        "trigger": letter.trigger or "(a dead-letter event)",
        "reason": letter.reason,
        "status": str(letter.code or "-"),
        "attempts": str(letter.attempts or "-"),
        "received": letter.received,
        "died": letter.died,
        "answer": letter.answer or "-",
        "retry": f"cannot be: {letter.problem}" if letter.problem else "can be",
    }
    lines = [f"{name:10}  {legal(value)}" for name, value in rows.items()]
    if letter.trigger is None:
        lines.append(f"letter\n{_json(letter.event)}")
    if letter.original is not None:
        lines.append(f"event\n{_json(letter.original)}")
    return "\n".join(lines)


def _json(document: Mapping[str, object]) -> str:
    text = json.dumps(document, ensure_ascii=False, indent=2)
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _type(letter: Letter) -> str:
    return legal(str(_failed(letter).get("type", "-")))


def _subject(letter: Letter) -> str:
    return legal(str(_failed(letter).get("subject", "-")))


def _failed(letter: Letter) -> Mapping[str, object]:
    return letter.event if letter.original is None else letter.original


def _short(text: str) -> str:
    return text if len(text) <= _REASON_CHARS else f"{text[: _REASON_CHARS - 1]}…"
