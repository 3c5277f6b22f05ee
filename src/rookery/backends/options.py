"""How a backend is to run a model: the same wishes for every library, heard where it can."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rookery.cpus import usable_cpus

Performance = Literal["latency", "throughput"]


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a backend; one that has no such choice ignores it.

    Attributes:
        threads: how many threads compute one batch; as many as this process may use CPUs.
        performance: one image as soon as possible, or as many a second as possible.
        pin: whether each computing thread stays on one CPU.
        cache: a folder for compiled models; None compiles anew with every load.
    """

    threads: int = field(default_factory=usable_cpus)
    performance: Performance = "latency"
    pin: bool = False
    cache: Path | None = None
