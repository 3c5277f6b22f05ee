"""What a run has seen and done."""

from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Counts:
    """Objects, by what became of them; plain sums.

    Attributes:
        listed: all that the bucket named.
        skipped: outside of the scope, such as too young, or another shard's.
        done: with a result.
        failed: without one for good, and not looked at again.
        missing: without a result, or to be done again: what events are for.
        emitted: events that the sink took.
        refused: events that the sink refused for good.
        gone: deleted or overwritten between the listing and the event.
    """

    listed: int = 0
    skipped: int = 0
    done: int = 0
    failed: int = 0
    missing: int = 0
    emitted: int = 0
    refused: int = 0
    gone: int = 0

    def __add__(self, other: Self) -> Self:
        """Return the sums."""
        mine, theirs = asdict(self), asdict(other)
        return type(self)(**{name: mine[name] + theirs[name] for name in mine})
