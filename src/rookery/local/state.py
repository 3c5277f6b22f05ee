"""Where a running `rookery up` is reached: one small file, so that `rookery put` needs no flags.

A lock says whether the file still counts: the kernel lets go of it however the process ends, and
no other process can take over its number as one could a process id's.
"""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rookery.errors import Misconfigured

_FILE: Final = "up.json"
_LOCK: Final = "up.lock"


@dataclass(frozen=True, slots=True)
class LocalState:
    """The addresses of everything that is up, and the process that keeps it so; no keys.

    Attributes:
        ceph: the bucket is in the Ceph of the same home, which has its own keys.
    """

    pid: int
    bucket: str
    storage_url: str
    broker_url: str
    function_urls: Mapping[str, str]
    ceph: bool = False


@contextmanager
def claimed(home: Path) -> Iterator[Callable[[LocalState], None]]:
    """Hold *home* for this process; yield what announces its state, taken back on leaving.

    Raises:
        Misconfigured: another process holds it, or it cannot be written to.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / _LOCK).open("a", encoding="utf-8")
    except OSError as exc:
        raise Misconfigured(
            f"{home} cannot be used: {exc.strerror}; set ROOKERY_HOME to a folder you may write to"
        ) from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Misconfigured(
                f"rookery is already up in {home}; stop it, or set ROOKERY_HOME to another folder"
            ) from exc
        # What a killed process announced must not count as ours while we are still starting.
        (home / _FILE).unlink(missing_ok=True)
        try:
            yield lambda state: _announce(home, state)
        finally:
            (home / _FILE).unlink(missing_ok=True)


def read_state(home: Path) -> LocalState | None:
    """Return what is up in *home*, or None.

    Raises:
        Misconfigured: something is, and what it announced cannot be read.
    """
    if not _is_claimed(home):
        return None
    file = home / _FILE
    try:
        return LocalState(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as exc:
        raise Misconfigured(f"{file} cannot be used: {exc}; stop rookery up, remove it") from exc


def _announce(home: Path, state: LocalState) -> None:
    incoming = home / f".{_FILE}"
    incoming.write_text(json.dumps(asdict(state), indent=2), encoding="utf-8")
    incoming.replace(home / _FILE)


def _is_claimed(home: Path) -> bool:
    try:
        with (home / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False
