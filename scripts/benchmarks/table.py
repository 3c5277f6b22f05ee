"""Rows of a benchmark: what was measured, beside what, and whether it meets its target."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rookery.cpus import usable_cpus

MARKS = {True: "met", False: "MISSED", None: ""}


@dataclass(frozen=True)
class Row:
    """One comparison; every number is a median unless its name says otherwise."""

    what: str
    measured: str
    beside: str
    result: str
    target: str = ""
    met: bool | None = None


def print_table(rows: list[Row]) -> None:
    """Print the machine, then *rows* as a Markdown table."""
    print(f"\n{processor()}, {usable_cpus()} CPUs, Python {platform.python_version()}\n")
    head = ("what", "measured", "beside", "result", "target", "")
    body = [(r.what, r.measured, r.beside, r.result, r.target, MARKS[r.met]) for r in rows]
    print(markdown(head, body))


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table, its columns aligned."""
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    lines = []
    for line in [head, tuple("-" * width for width in widths), *body]:
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def processor() -> str:
    """Return what the kernel calls the first CPU."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
