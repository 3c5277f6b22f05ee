"""Remembers that a snapshot's pages were checked, until a file changes or the machine boots.

Reading all of them again would be a fifth of the time in which a snapshot wakes. A file that was
written to, replaced or copied since has another change time, which nobody can set.
"""

import os
from collections.abc import Iterable

from rookery.snapshots import private

NAME = "verified"


def identity(directory: str, files: Iterable[str]) -> str | None:
    """Return what is another one when one of *files* of *directory* was changed, or after a boot.

    None where one of them is not there.
    """
    try:
        lines = [boot()]
        for name in sorted(files):
            found = os.stat(os.path.join(directory, name))
            lines.append(
                f"{name} {found.st_dev} {found.st_ino} {found.st_size} {found.st_ctime_ns}"
            )
    except OSError:
        return None
    return "\n".join(lines)


def is_verified(directory: str, now: str | None) -> bool:
    """Whether `remember` was called for files of *directory* that had the identity *now*."""
    try:
        with open(os.path.join(directory, NAME), encoding="ascii") as stamp:
            return stamp.read() == now
    except (OSError, ValueError):
        return False


def remember(directory: str, files: Iterable[str], before: str | None) -> None:
    """Say that *files* of *directory* are in order; where that cannot be written, do nothing.

    *before* is their identity before they were read: what has been changed since then may have been
    read as it was, and is not remembered.
    """
    if before is None or identity(directory, files) != before:
        return
    path = os.path.join(directory, NAME)
    fresh = f"{path}.{os.getpid()}"
    try:
        with open(fresh, "w", encoding="ascii", opener=private.opener) as stamp:
            stamp.write(before)
        os.replace(fresh, path)
    except OSError:
        return


def boot() -> str:
    """Return what names the boot of this machine; proc(5)."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
