"""The port behind a shared window: who computes which key, and what came of it."""

from enum import Enum, auto
from typing import Final, Protocol

LEASE_SECONDS: Final = 5.0
"""How long a claim holds without being renewed: how long the work of a killed process waits."""


class Standing(Enum):
    """How a key stands that has no result yet."""

    MINE = auto()
    HELD = auto()


class Ledger(Protocol):
    """Claims and results by key. Safe for all threads, and for all processes that share it.

    Every method raises DedupUnavailable where the store cannot be asked or cannot answer; the
    caller then goes on without it.
    """

    def claim(self, key: str) -> Standing | bytes:
        """Return the result for *key*; or claim it, or claim it anew, for this ledger's owner.

        A claim ends by itself, a lease after it was last made. HELD is what everyone else gets
        until then.
        """
        ...

    def settle(self, key: str, result: bytes | None) -> None:
        """Remember *result*; None remembers nothing and gives up the claim."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
