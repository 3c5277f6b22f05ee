"""Looks for secrets in the files of a snapshot: what is found there would be in every clone."""

import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

# Shorter values, such as "1" or "true", are in every process by chance.
_SHORTEST: Final = 6


def leaked(directory: Path, secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of those *secrets* whose value is somewhere in the files of *directory*.

    Args:
        directory: the snapshot.
        secrets: value by name; values of fewer than six characters are not looked for.
    """
    wanted = {
        name: value.encode(errors="surrogateescape")
        for name, value in secrets.items()
        if len(value) >= _SHORTEST
    }
    files = sorted(path for path in directory.iterdir() if path.is_file())
    return tuple(sorted(name for name, value in wanted.items() if _found(value, files)))


def _found(value: bytes, files: Iterable[Path]) -> bool:
    return any(_contains(path, value) for path in files)


def _contains(path: Path, value: bytes) -> bool:
    if path.stat().st_size == 0:
        return False
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(value) >= 0
