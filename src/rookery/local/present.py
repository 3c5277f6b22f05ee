"""Result events as lines for a terminal."""

import json
from collections.abc import Mapping

import click

from rookery.events.result import COMPLETED, DEADLETTER, FAILED
from rookery.events.wire import CloudEvent, to_document


def line_of(event: CloudEvent) -> str | None:
    """Return one colored line for a result event, or None for any other event."""
    data = _data(event)
    subject = event.subject or event.id
    if event.type == COMPLETED:
        best, milliseconds = _best(data), _number(data, "timings", "total_ms")
        return (
            f"{click.style('✓', fg='green')} {subject}  "
            f"{click.style(best, bold=True)}  {click.style(f'{milliseconds:.0f} ms', dim=True)}"
        )
    if event.type in {FAILED, DEADLETTER}:
        error = data.get("error")
        error = error if isinstance(error, dict) else {}
        said = f"{error.get('code')}: {error.get('message')}"
        return f"{click.style('✗', fg='red')} {subject}  {click.style(said, fg='red')}"
    return None


def json_of(event: CloudEvent, *, indent: int | None = None) -> str:
    """Write *event* as a structured CloudEvent."""
    return json.dumps(to_document(event), ensure_ascii=False, indent=indent)


def _data(event: CloudEvent) -> Mapping[str, object]:
    data = event.json() if event.data else {}
    return data if isinstance(data, dict) else {}


def _best(data: Mapping[str, object]) -> str:
    predictions = data.get("predictions")
    best = predictions[0] if isinstance(predictions, list) and predictions else {}
    return f"{best.get('label', '?')} {best.get('probability', 0):.0%}"


def _number(data: Mapping[str, object], section: str, name: str) -> float:
    values = data.get(section)
    value = values.get(name) if isinstance(values, dict) else None
    return float(value) if isinstance(value, (int, float)) else 0.0
