"""What `rookery reconcile` tells: progress on standard error, its outcome on standard output."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from rookery.reconcile.checkpoint import Checkpoint
from rookery.reconcile.counts import Counts

_TERMINAL_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 10.0
_ABSORBED: Final = (
    "a broker absorbs events that it has had within its --keep-days; what is still missing then "
    "is announced anew with --failed"
)


class Report:
    """Follows one run, and keeps its checkpoint."""

    def __init__(self, start: Checkpoint, *, state: Path | None, keys: bool) -> None:
        """Begin at *start*; keep checkpoints in *state*, print the *keys* that are missing."""
        self._state = state
        self._keys = keys
        self._before = start.counts.listed
        self._terminal = sys.stderr.isatty()
        self._began = self._spoke = time.monotonic()
        if start.after:
            click.echo(f"going on after {start.after!r}: {_line(start.counts)}", err=True)

    def missing(self, key: str) -> None:
        """Hear of an object without a result."""
        if self._keys:
            click.echo(key)

    def passed(self, checkpoint: Checkpoint) -> None:
        """Hear that a page is done."""
        if self._state is not None:
            checkpoint.save(self._state)
        now = time.monotonic()
        if now - self._spoke >= (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS):
            self._spoke = now
            line = f"{_line(checkpoint.counts)}, {self._rate(checkpoint.counts):,.0f} keys/s"
            click.echo(
                f"\r{line}\x1b[K" if self._terminal else line, err=True, nl=not self._terminal
            )

    def interrupted(self) -> None:
        """Hear that the run was told to stop."""
        hint = (
            "start it again to look through all of it"
            if self._state is None
            else f"start it again with --state {self._state} to go on"
        )
        click.echo(f"{self._break()}interrupted; {hint}", err=True)

    def summary(self, end: Checkpoint, *, as_json: bool) -> None:
        """Say what came of it."""
        seconds = time.monotonic() - self._began
        click.echo(self._break(), err=True, nl=False)
        if end.counts.emitted and end.job["mode"] == "missing":
            click.echo(_ABSORBED, err=True)
        if as_json:
            document = {
                **end.job,
                **asdict(end.counts),
                "seconds": round(seconds, 3),
                "keys_per_second": round(self._rate(end.counts), 1),
            }
            click.echo(json.dumps(document))
        elif not self._keys:
            click.echo(
                f"{end.job['bucket']}: {_line(end.counts)}; "
                f"{seconds:.1f} s, {self._rate(end.counts):,.0f} keys/s"
            )

    def _rate(self, counts: Counts) -> float:
        return (counts.listed - self._before) / max(time.monotonic() - self._began, 1e-6)

    def _break(self) -> str:
        """What ends a progress line that is still being rewritten."""
        return "\r\x1b[K" if self._terminal else ""


def _line(counts: Counts) -> str:
    shown = [f"{name} {number:,}" for name, number in asdict(counts).items() if number]
    return ", ".join(shown) or "listed 0"
