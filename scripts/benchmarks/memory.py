"""How much memory another process needs, as the kernel counts it."""

from collections.abc import Callable
from pathlib import Path

_RESET_PEAK = "5"


def resident(pid: int) -> int:
    """Return the bytes that are in memory now."""
    return _status(pid, "VmRSS")


def extra_peak(pid: int, work: Callable[[], object]) -> int:
    """Return how many bytes more than before were in memory at once while *work* was done."""
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
    before = resident(pid)
    work()
    return _status(pid, "VmHWM") - before


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"bench: process {pid} has ended")
