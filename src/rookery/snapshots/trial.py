"""A snapshot of a tiny process, made and woken as a function's is: it decides `snapshot check`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rookery.errors import SnapshotFailed
from rookery.snapshots.create import Plan, create

_SECONDS: Final = 90

# What every donor does at its snapshot point, and nothing else.
_DONOR: Final = """
import os
control, status = map(int, os.environ["ROOKERY_SNAPSHOT_PIPES"].split(","))
os.write(status, b'{"state": "ready"}\\n')
while os.read(control, 4096): pass
os.write(status, b'{"state": "serving"}\\n')
"""

# A process of its own, because waking takes over a process's signals and children.
_LAUNCHER: Final = """
import sys
from rookery.errors import RookeryError
from rookery.snapshots.wake import wake
try:
    sys.exit(wake(sys.argv[1], (), program=sys.argv[2], environ={}))
except RookeryError as exc:
    sys.exit(str(exc))
"""


def attempt(program: str, *, on_line: Callable[[str], None]) -> None:
    """Make a snapshot with the CRIU *program* and wake it; leaves nothing behind.

    Args:
        program: CRIU.
        on_line: called with what the tiny process says, from another thread.

    Raises:
        SnapshotFailed: it cannot be made or woken here; the message says why.
    """
    with TemporaryDirectory(prefix="rookery-trial-") as folder:
        plan = Plan(
            function="trial",
            folder=Path(folder),
            command=(sys.executable, "-P", "-c", _DONOR),
            environ={"PATH": os.defpath},
            frozen={},
            secrets={},
            program=program,
        )
        snapshot = Path(folder) / "snapshot"
        create(plan, snapshot, on_line=on_line)
        _wake(snapshot, program)


def _wake(snapshot: Path, program: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            (sys.executable, "-c", _LAUNCHER, snapshot, program),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise SnapshotFailed(f"the snapshot was not awake after {_SECONDS} s") from exc
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise SnapshotFailed(said[-1])
