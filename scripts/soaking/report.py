"""The report of a soak, as Markdown: what was done to the system, and what came out."""

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tally import Tally, Version

_SHOWN = 20


@dataclass(frozen=True)
class Soak:
    """Everything that a soak has found out.

    Attributes:
        kinds: uploaded keys by kind.
        versions: object versions that the store acknowledged.
        repeats: requests that the client sent again, as they had failed.
        faults: how often each fault was made.
        absorbed: duplicates, by who absorbed them.
        healed: objects that `rookery reconcile` announced in the end.
        memory: resident MiB by process, in the beginning and in the end.
    """

    command: str
    seed: int
    seconds: float
    settle_seconds: float
    kinds: Mapping[str, int]
    versions: int
    repeats: int
    faults: Counter[str]
    absorbed: Mapping[str, int]
    healed: int
    tally: Tally
    memory: Mapping[str, tuple[float, float]]


def to_markdown(soak: Soak) -> str:
    """Write the report."""
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in soak.kinds.items())
    lines = [
        (
            f"`{soak.command}`, seed {soak.seed}, on {os.cpu_count()} CPUs, "
            f"Python {platform.python_version()}: {soak.seconds:.0f} s of uploads under faults, "
            f"and {soak.settle_seconds:.0f} s until everything had settled."
        ),
        "",
        (
            f"- uploaded: {sum(soak.kinds.values()):,} keys ({kinds}), {soak.versions:,} versions; "
            f"{soak.repeats:,} requests had to be sent again"
        ),
        f"- faults: {sum(soak.faults.values())}",
        *(f"  - {name}: {number}" for name, number in sorted(soak.faults.items())),
        "- outcomes:",
        *(f"  - {fate}: {number:,}" for fate, number in sorted(soak.tally.fates.items())),
        "- duplicates absorbed (what a process counted just before it was killed is missing):",
        *(f"  - {who}: {number:,}" for who, number in soak.absorbed.items()),
        f"- announced by `rookery reconcile` in the end: {soak.healed:,}",
        "- resident memory, MiB, after the first tenth and in the end: "
        + ", ".join(
            f"{name} {begin:.0f} → {end:.0f}" for name, (begin, end) in soak.memory.items()
        ),
        "",
        _verdict(soak.tally),
    ]
    return "\n".join(lines)


def _verdict(tally: Tally) -> str:
    if tally.perfect:
        return "**Every version ended in exactly one of result and dead letter.**"
    return "\n".join(
        f"**{what}: {len(versions)}** {_some(versions)}"
        for what, versions in (
            ("without an outcome", tally.nothing),
            ("with both outcomes", tally.contradictory),
            ("with more outcomes than uploads", tally.doubled),
            ("with an unexpected outcome", tally.unexpected),
        )
        if versions
    )


def _some(versions: Sequence[Version]) -> str:
    return ", ".join(key for key, _ in versions[:_SHOWN])
