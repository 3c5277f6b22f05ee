"""How a backend is to run a model: the same wishes for every library, heard where it can."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Performance = Literal["latency", "throughput"]


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a backend; one that has no such choice ignores it.

    Attributes:
        threads: how many threads compute one batch; None is every CPU this process may use.
        performance: one image as soon as possible, or as many a second as possible.
        pin: whether each computing thread stays on one CPU.
        cache: a folder for compiled models; None compiles anew with every load.
    """

    threads: int | None = None
    performance: Performance = "latency"
    pin: bool = False
    cache: Path | None = None
