"""Runs Ceph's own commands against one node, and says in one line why one failed."""

import os
import re
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rookery.errors import CephMissing, StartFailed
from rookery.storage.ceph.conf import FILE

_SECONDS: Final = 60
# What Ceph puts before what it says: time, thread and level.
_PREFIX: Final = re.compile(r"^\d{4}-\d\d-\d\dT\S+ [0-9a-f]+ +-?\d+ ")
# Python's and Ceph's own variables would point its tools, Python programs too, elsewhere.
_FOREIGN: Final = re.compile(r"CEPH_|PYTHON|VIRTUAL_ENV$")


def run(folder: Path, program: str, *arguments: str, seconds: float = _SECONDS) -> str:
    """Run *program* with the node's ceph.conf and return what it printed.

    Raises:
        StartFailed: it failed or took longer than *seconds*; the message ends in its last words.
        CephMissing: there is no such program.
    """
    return plain(program, "-c", str(folder / FILE), *arguments, seconds=seconds)


def plain(program: str, *arguments: str, seconds: float = _SECONDS) -> str:
    """Run *program* and return what it printed; raises what `run` raises."""
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            (program, *arguments),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=True,
        )
    except FileNotFoundError as exc:
        raise CephMissing((program,)) from exc
    except subprocess.TimeoutExpired as exc:
        raise StartFailed(f"{program} took longer than {seconds:.0f} s") from exc
    except subprocess.CalledProcessError as exc:
        said = last_words(exc.stderr) or f"exit status {exc.returncode}, and it said nothing"
        raise StartFailed(f"{program} failed: {said}") from exc
    except OSError as exc:
        raise StartFailed(f"{program} cannot be run: {exc.strerror}") from exc
    return done.stdout


def first_bytes(folder: Path, size: int, program: str, *arguments: str) -> bytes:
    """Run *program* with the node's ceph.conf; return the first *size* bytes that it prints.

    Raises:
        CephMissing: there is no such program.
    """
    try:
        with subprocess.Popen(  # noqa: S603 - our own command line
            (program, "-c", str(folder / FILE), *arguments),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            timer = threading.Timer(_SECONDS, process.kill)
            timer.start()
            try:
                return process.stdout.read(size) if process.stdout else b""
            finally:
                timer.cancel()
                process.kill()
    except FileNotFoundError as exc:
        raise CephMissing((program,)) from exc


def environment() -> Mapping[str, str]:
    """Return this process's environment without what would mislead Ceph's programs."""
    return {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}


def last_words(text: str, lines: int = 3) -> str:
    """Return the last *lines* of what a Ceph program said, without times and thread numbers."""
    said = [_PREFIX.sub("", line).strip() for line in text.splitlines()]
    return "; ".join([line for line in said if line][-lines:])
