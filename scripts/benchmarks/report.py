"""Sections of pages that benchmarks write: what stands between two markers is theirs."""

import os
import platform
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rookery.cpus import usable_cpus
from table import MARKS, Row, markdown, processor


def write_section(document: Path, name: str, text: str) -> None:
    """Replace what stands between the markers of *name* in *document*, which must be there."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = document.read_text()
    before, opened, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise SystemExit(f"bench: {document} lacks {end if opened else begin}")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def circumstances(benchmark: str) -> str:
    """Say which *benchmark* wrote a section, when, and on which machine."""
    return (
        f"Written by `scripts/bench {benchmark} --write` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{processor()}, {usable_cpus()} CPUs, Linux {kernel()}, "
        f"Python {platform.python_version()}."
    )


def judged(rows: list[Row]) -> str:
    """Write *rows* as a table, with what each was to reach."""
    return markdown(
        ["what", "measured", "beside", "result", "target", ""],
        [
            [row.what, row.measured, row.beside, row.result, row.target, MARKS[row.met].lower()]
            for row in rows
        ],
    )


def draw(picture: Path, size: tuple[float, float], fill: Callable[[Axes], None]) -> None:
    """Write an SVG of *size* inches whose only axes *fill* has drawn on."""
    rcParams["svg.hashsalt"] = "rookery"  # the same numbers are the same file
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    fill(axes)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, metadata={"Date": None})


def kernel() -> str:
    """Return the kernel's version."""
    return re.match(r"[\d.]+", os.uname().release)[0]  # type: ignore[index]
