"""Rows as text, column below column."""

from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """Return one line for each of *rows*, every column as wide as its widest cell."""
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    for row in listed:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
