"""Where a running `rookery up` is reached: one small file, so that `rookery put` needs no flags."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rookery.errors import Misconfigured

_FILE: Final = "up.json"
_HIGHEST_PID: Final = 2**22  # Linux, on 64 bits


@dataclass(frozen=True, slots=True)
class LocalState:
    """The addresses of everything that is up, and the process that keeps it so."""

    pid: int
    bucket: str
    storage_url: str
    broker_url: str
    function_urls: Mapping[str, str]


def write_state(home: Path, state: LocalState) -> None:
    """Announce *state*, whole or not at all."""
    home.mkdir(parents=True, exist_ok=True)
    incoming = home / f".{_FILE}.{state.pid}"
    incoming.write_text(json.dumps(asdict(state), indent=2), encoding="utf-8")
    incoming.replace(home / _FILE)


def clear_state(home: Path) -> None:
    """Take the announcement back."""
    (home / _FILE).unlink(missing_ok=True)


def read_state(home: Path) -> LocalState | None:
    """Return what is up, or None.

    Raises:
        Misconfigured: the file is there and cannot be used.
    """
    file = home / _FILE
    try:
        state = _state(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise Misconfigured(f"{file} cannot be used: {exc}; remove it") from exc
    return state if _alive(state.pid) else None


def _state(document: dict[str, Any]) -> LocalState:
    if not isinstance(document["pid"], int) or not 0 < document["pid"] <= _HIGHEST_PID:
        raise ValueError(f"pid is {document['pid']!r}")
    return LocalState(**document)


def _alive(pid: int) -> bool:
    """Whether *pid* still runs: a killed `rookery up` cannot take its file along."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
