"""Who this process is: clones of one snapshot are many instances on many hosts."""

import socket
from dataclasses import dataclass
from typing import Final
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Instance:
    """One running process of a function."""

    id: str
    """Unlike every other process's, in 32 hexadecimal digits."""
    hostname: str


# Filled when it is first asked for: what an import decides would be the same in every clone.
_KNOWN: Final[dict[str, Instance]] = {}


def current() -> Instance:
    """Return the instance that this process is."""
    return _KNOWN.get("current") or _KNOWN.setdefault("current", _new())


def renew() -> Instance:
    """Become another instance, as a restored process must, and return it."""
    _KNOWN["current"] = renewed = _new()
    return renewed


def _new() -> Instance:
    return Instance(id=uuid4().hex, hostname=socket.gethostname())
