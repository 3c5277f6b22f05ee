"""Result events as lines for a terminal."""

import json
import re
from collections.abc import Mapping
from typing import Final

import click

from rookery.errors import EventInvalid
from rookery.events.result import COMPLETED, DEADLETTER, FAILED
from rookery.events.wire import CloudEvent, to_document

# What a stranger wrote must not steer the terminal it is shown on.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def line_of(event: CloudEvent) -> str | None:
    """Return one colored line for a result event, or None for any other event."""
    if event.type not in {COMPLETED, FAILED, DEADLETTER}:
        return None
    data = _data(event)
    subject = event.subject or event.id
    if event.type == COMPLETED:
        best, milliseconds = _best(data), _number(data, "timings", "total_ms")
        return (
            f"{click.style('✓', fg='green')} {subject}  "
            f"{click.style(best, bold=True)}  {click.style(f'{milliseconds:.0f} ms', dim=True)}"
        )
    error = data.get("error")
    error = error if isinstance(error, dict) else {}
    said = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", f"{error.get('code')}: {error.get('message')}")
    return f"{click.style('✗', fg='red')} {subject}  {click.style(said, fg='red')}"


def stage_line(name: str, seconds: float) -> str:
    """Return one colored line for a part of the system that is up after *seconds*."""
    return f"{click.style('✓', fg='green')} {name:13} {seconds:5.1f} s"


def json_of(event: CloudEvent, *, indent: int | None = None) -> str:
    """Write *event* as a structured CloudEvent."""
    return json.dumps(to_document(event), ensure_ascii=False, indent=indent)


def _data(event: CloudEvent) -> Mapping[str, object]:
    try:
        data = event.json()
    except EventInvalid:
        return {}
    return data if isinstance(data, dict) else {}


def _best(data: Mapping[str, object]) -> str:
    predictions = data.get("predictions")
    best = predictions[0] if isinstance(predictions, list) and predictions else {}
    best = best if isinstance(best, dict) else {}
    probability = best.get("probability")
    shown = f"{probability:.0%}" if isinstance(probability, (int, float)) else "?"
    return f"{_CONTROL.sub('?', str(best.get('label', '?')))} {shown}"


def _number(data: Mapping[str, object], section: str, name: str) -> float:
    values = data.get(section)
    value = values.get(name) if isinstance(values, dict) else None
    return float(value) if isinstance(value, (int, float)) else 0.0
