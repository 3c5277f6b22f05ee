"""`rookery snapshot bench`: how long a snapshot takes to wake on this machine."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rookery.snapshots.stopwatch import Start


@click.command(
    epilog="""\b
Examples:
  rookery snapshot bench snapshot/
  rookery snapshot bench snapshot/ --runs 30 --json
"""
)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="How often it wakes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def bench(*, directory: Path, runs: int, as_json: bool) -> None:
    """Wake the snapshot in DIRECTORY again and again, and boot its function once beside it.

    Every number is counted from the execution of the command: until the port is bound, and until
    the first answer to a picture; and the memory that all processes of a start have then. Medians
    of the runs, after one that is not counted.
    """
    from rookery.frozen import variables
    from rookery.images.sample import sample_jpeg
    from rookery.snapshots import manifest
    from rookery.snapshots.stopwatch import time_start

    described = manifest.read(str(directory))
    program = (sys.executable, "-m", "rookery", "serve", described.folder)
    # The settings that are fixed in it; where it listens, and what it connects to, is ours.
    environ = {
        **os.environ,
        **variables(described.frozen),
        "ROOKERY_HOST": "127.0.0.1",
        "PORT": "0",
        "S3_ENABLED": "false",
    }
    environ = {name: value for name, value in environ.items() if value}
    image = sample_jpeg()
    snapshot = ("--snapshot", str(directory))
    click.echo(f"waking {described.function}, {runs} times", err=True)
    woken = [time_start((*program, *snapshot), environ, image) for _ in range(runs + 1)][1:]
    click.echo(f"booting {described.function}, once", err=True)
    booted = time_start(program, environ, image)
    found = {"woken": _medians(woken), "booted": _medians([booted])}
    if as_json:
        click.echo(json.dumps({"runs": runs, **found}))
    else:
        _print_table(found, runs)


def _medians(starts: Sequence["Start"]) -> dict[str, float]:
    return {
        "bound_ms": round(median(start.bound for start in starts) * 1000, 1),
        "answered_ms": round(median(start.answered for start in starts) * 1000, 1),
        "again_ms": round(median(start.again for start in starts) * 1000, 1),
        "faults": median(start.faults for start in starts),
        "rss_mb": round(median(start.rss for start in starts) / 1e6, 1),
        "pss_mb": round(median(start.pss for start in starts) / 1e6, 1),
        **{
            f"{name}_ms": median(start.steps[name] for start in starts)
            for name in starts[0].steps
            if all(name in start.steps for start in starts)
        },
    }


_LABELS = {
    "bound_ms": "until the port is bound",
    "answered_ms": "until the first answer",
    "again_ms": "the same question once more",
    "rss_mb": "memory, all processes",
    "pss_mb": "memory, shared pages divided",
    "read_ms": "  manifest read",
    "restored_ms": "  restored by CRIU",
    "checked_ms": "  meanwhile checked",
    "told_ms": "  told where it is",
    "took_ms": "  hooks",
    "listening_ms": "  hooks, settings and port",
}


def _print_table(found: dict[str, dict[str, float]], runs: int) -> None:
    click.echo(f"{'':32}{f'woken ({runs})':>14}{'booted (1)':>14}")
    for name, label in _LABELS.items():
        if name in found["woken"]:
            unit = name.rpartition("_")[2].replace("mb", "MB")
            cells = (found[kind].get(name) for kind in ("woken", "booted"))
            shown = ("" if cell is None else f"{cell:.0f} {unit}" for cell in cells)
            click.echo(f"{label:32}" + "".join(f"{cell:>14}" for cell in shown))
