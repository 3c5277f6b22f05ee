"""One `rookery ceph up` or `down` at a time in one home."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rookery.errors import CephInvalid, Unavailable

_FILE: Final = "ceph.lock"
_POLL_SECONDS: Final = 0.1
_WAIT_SECONDS: Final = 180


@contextmanager
def locked(
    home: Path, *, on_wait: Callable[[], None], wait_seconds: float = _WAIT_SECONDS
) -> Iterator[None]:
    """Hold *home*'s node for this process; *on_wait* is told once where another one does.

    The kernel lets go of the lock however the process ends, and daemons do not inherit it.

    Raises:
        CephInvalid: *home* cannot be written to.
        Unavailable: the other one took longer than *wait_seconds*.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / _FILE).open("a", encoding="utf-8")
    except OSError as exc:
        raise CephInvalid(
            f"{home} cannot be used: {exc.strerror}; set ROOKERY_HOME to a folder you may write to"
        ) from exc
    with lock:
        deadline = time.monotonic() + wait_seconds
        waiting = False
        while not _try(lock.fileno()):
            if not waiting:
                waiting = True
                on_wait()
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"another rookery ceph command has held {home / _FILE} for "
                    f"{wait_seconds:.0f} s; end it, then try again"
                )
            time.sleep(_POLL_SECONDS)
        yield


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
