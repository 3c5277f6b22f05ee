"""What became of every uploaded version: exactly one of a result and a dead letter, or a fault."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Version = tuple[str, str]
"""Key and entity tag: what was stored."""
Fate = Literal["result", "dead letter", "both", "nothing"]


@dataclass
class Stored:
    """The versions that the store has acknowledged.

    Attributes:
        attempts: how often each was sent: a PUT whose answer was lost may have been stored, so
            the client sends it again, and two uploads of the same bytes are two events.
        gone: keys that were deleted, or versions that were replaced, right after the upload.
    """

    attempts: dict[Version, int] = field(default_factory=dict)
    gone: set[Version] = field(default_factory=set)


@dataclass(frozen=True)
class Tally:
    """The count of a soak.

    Attributes:
        fates: how many versions had which fate.
        nothing: versions without an outcome.
        contradictory: versions with a result and a dead letter, though uploaded only once.
        doubled: versions with more results than uploads.
        unexpected: versions that must have a result and have a dead letter, or the reverse.
    """

    fates: Mapping[Fate, int]
    nothing: tuple[Version, ...]
    contradictory: tuple[Version, ...]
    doubled: tuple[Version, ...]
    unexpected: tuple[Version, ...]

    @property
    def perfect(self) -> bool:
        """Whether every version ended in exactly one of result and dead letter."""
        return not (self.nothing or self.contradictory or self.doubled or self.unexpected)


def count(
    stored: Stored,
    results: Iterable[tuple[Version, str]],
    dead_letters: Iterable[Version],
) -> Tally:
    """Compare what was *stored* with what came out.

    Args:
        stored: the acknowledged uploads.
        results: every completed event: what it is about, and its id.
        dead_letters: every dead letter: what it is about.
    """
    ids: dict[Version, set[str]] = {}
    for version, name in results:
        ids.setdefault(version, set()).add(name)
    dead = Counter(dead_letters)
    fates: Counter[Fate] = Counter()
    problems: dict[str, list[Version]] = {"nothing": [], "both": [], "doubled": [], "odd": []}
    for version, attempts in stored.attempts.items():
        found, died = len(ids.get(version, ())), dead[version]
        fate: Fate = _fate(found, died)
        fates[fate] += 1
        if fate == "nothing":
            problems["nothing"].append(version)
        if fate == "both" and attempts == 1:
            problems["both"].append(version)
        if found + died > attempts and fate != "both":
            problems["doubled"].append(version)
        damaged = version[0].startswith("damaged/")
        if (fate == "result" and damaged) or (
            fate == "dead letter" and not damaged and version not in stored.gone
        ):
            problems["odd"].append(version)
    return Tally(
        fates=dict(fates),
        nothing=tuple(problems["nothing"]),
        contradictory=tuple(problems["both"]),
        doubled=tuple(problems["doubled"]),
        unexpected=tuple(problems["odd"]),
    )


def _fate(results: int, dead: int) -> Fate:
    match bool(results), bool(dead):
        case True, True:
            return "both"
        case True, False:
            return "result"
        case False, True:
            return "dead letter"
        case _:
            return "nothing"
