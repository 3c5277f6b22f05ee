"""A folder that is there whole or not at all: made beside its place under a name of its own.

A process that is killed leaves its half-made one behind. It holds a lock on it for as long as it
lives, by which the next one knows what may be removed.
"""

import errno
import fcntl
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_OLD: Final = ".old"
_ID: Final = re.compile(r"[0-9a-f]{32}(\.old)?")
_TRIES: Final = 10


@contextmanager
def incoming(directory: Path) -> Iterator[Path]:
    """Make a hidden folder, and put it in the place of *directory* when the block succeeds.

    What others left behind that were killed over the same *directory* goes: an older content that
    they had just put aside returns to its place. Raises OSError.
    """
    directory = directory.resolve()  # what a link leads to is replaced, not the link
    made = [folder for folder in directory.parents if not folder.exists()]
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        _sweep(directory)
        with _locked(directory) as fresh:
            older = fresh.with_name(f"{fresh.name}{_OLD}")
            try:
                yield fresh
                if directory.exists():
                    directory.rename(older)
                fresh.rename(directory)
                made = []
            finally:
                _put_back(older, directory)
                shutil.rmtree(fresh, ignore_errors=True)
    finally:
        with suppress(OSError):  # somebody else has put something there
            for folder in made:
                folder.rmdir()


@contextmanager
def _locked(directory: Path) -> Iterator[Path]:
    fresh, lock = _make(directory)
    try:
        yield fresh
    finally:
        os.close(lock)


def _make(directory: Path) -> tuple[Path, int]:
    for _ in range(_TRIES):
        fresh = directory.with_name(f".{directory.name}.{uuid.uuid4().hex}")
        fresh.mkdir(mode=0o700)
        try:
            lock = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            fresh.rmdir()
            raise
        with suppress(OSError):  # a disk without locks: nobody sweeps there
            fcntl.flock(lock, fcntl.LOCK_EX)
        if fresh.exists():
            return fresh, lock
        os.close(lock)  # another has swept it away before it was locked
    raise FileNotFoundError(errno.ENOENT, "swept away by others", str(directory.parent))


def _sweep(directory: Path) -> None:
    """Remove what was left half made for *directory* by whoever was killed."""
    prefix = f".{directory.name}."
    for path in sorted(directory.parent.iterdir()):
        name = path.name.removeprefix(prefix)
        if name == path.name or _ID.fullmatch(name) is None:
            continue
        with suppress(FileNotFoundError):  # another one sweeps, too
            _tidy(path, directory)


def _tidy(path: Path, directory: Path) -> None:
    if not _is_ours(path):
        return
    if path.suffix != _OLD:
        _remove_left(path)
    elif not path.with_suffix("").exists():  # nobody is about to put it back
        _put_back(path, directory)


def _is_ours(path: Path) -> bool:
    """Whether it is a folder of this user's: in one for all, others may put what they like."""
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _put_back(older: Path, directory: Path) -> None:
    """Let *older* be *directory* again, or be gone where that has been made."""
    if older.exists() and not directory.exists():
        older.rename(directory)
    shutil.rmtree(older, ignore_errors=True)


def _remove_left(path: Path) -> None:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return  # it is being made
    finally:
        os.close(lock)
