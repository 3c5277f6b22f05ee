"""Remembers that a snapshot's pages were checked, until a file changes or the machine boots.

Reading all of them again would be a fifth of the time in which a snapshot wakes. A file that was
written to, replaced or copied since has another change time, which nobody can set.
"""

import os
from collections.abc import Iterable

NAME = "verified"


def is_verified(directory: str, files: Iterable[str]) -> bool:
    """Whether *files* of *directory* are those that `remember` was called for, in this boot."""
    try:
        with open(os.path.join(directory, NAME), encoding="ascii") as stamp:
            return stamp.read() == _identity(directory, files)
    except (OSError, ValueError):
        return False


def remember(directory: str, files: Iterable[str]) -> None:
    """Say that *files* of *directory* are in order; where that cannot be written, do nothing."""
    path = os.path.join(directory, NAME)
    fresh = f"{path}.{os.getpid()}"
    try:
        with open(fresh, "w", encoding="ascii", opener=_private) as stamp:
            stamp.write(_identity(directory, files))
        os.replace(fresh, path)
    except OSError:
        return


def boot() -> str:
    """Return what names the boot of this machine; proc(5)."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _identity(directory: str, files: Iterable[str]) -> str:
    lines = [boot()]
    for name in sorted(files):
        found = os.stat(os.path.join(directory, name))
        lines.append(f"{name} {found.st_dev} {found.st_ino} {found.st_size} {found.st_ctime_ns}")
    return "\n".join(lines)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
