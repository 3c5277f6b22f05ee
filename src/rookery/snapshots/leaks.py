"""Looks for secrets in the files of a snapshot: what is found there would be in every clone."""

import mmap
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

# Shorter values, such as "1" or "true", are in every process by chance.
_SHORTEST: Final = 6

# By variable, AWS's files; botocore reads both as a whole, whichever profile is wanted.
_AWS_FILES: Final = {
    "AWS_CONFIG_FILE": ".aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": ".aws/credentials",
}
_AWS_SECRET: Final = re.compile(
    r"\s*(aws_secret_access_key|aws_session_token|aws_security_token)\s*[=:]\s*(\S+)", re.IGNORECASE
)


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


def in_aws_files(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets in the AWS files that a process with *environ* finds, by where they are.

    What is no such file, or cannot be read, holds none.
    """
    home = Path(environ.get("HOME") or Path.home())
    found = {}
    for variable, usual in _AWS_FILES.items():
        path = Path(environ.get(variable) or home / usual)
        try:
            lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            if secret := _AWS_SECRET.match(line):
                found[f"{secret[1]} in line {number} of {path}"] = secret[2]
    return found


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
