"""Two backends, or two precisions, side by side: call by call in turns, on the same pixels."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bare import HOME, bare_call, find
from http_overhead import photograph
from table import Row

ROUNDS = 60


@dataclass(frozen=True)
class Side:
    """A model of a home on a backend."""

    model: str
    backend: str
    home: Path = HOME

    @property
    def name(self) -> str:
        """What it is, for a table."""
        return f"{self.model} on {self.backend}"


@dataclass(frozen=True)
class Ratio:
    """How many milliseconds each takes, and how much faster the first is to be; None: as it is."""

    fast: Side
    slow: Side
    fast_ms: float
    slow_ms: float
    target: float | None

    @property
    def row(self) -> Row:
        """The comparison as a row."""
        ratio = self.slow_ms / self.fast_ms
        return Row(
            f"{self.fast.name}, batch 1",
            f"{self.fast_ms:.1f} ms",
            f"{self.slow.name} {self.slow_ms:.1f} ms",
            f"{ratio:.2f}x",
            f">= {self.target}x" if self.target else "",
            ratio >= self.target if self.target else None,
        )


def compare(fast: Side, slow: Side, target: float | None) -> Ratio:
    """Call both in turns."""
    image = photograph()
    calls = [bare_call(find(side.model, side.home), side.backend, image) for side in (fast, slow)]
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for call, taken in zip(calls, times, strict=True):
            taken.append(call())
    return Ratio(fast, slow, median(times[0]), median(times[1]), target)
