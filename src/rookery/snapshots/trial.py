"""A snapshot of a tiny process, made and woken as a function's is: what decides `snapshot check`."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rookery.errors import SnapshotFailed
from rookery.snapshots.create import Plan, create

_SECONDS: Final = 90

# What every donor does, see `rookery.lifecycle.snapshot.criu`, and nothing else.
_DONOR: Final = """
import os
control, status = map(int, os.environ["ROOKERY_SNAPSHOT_PIPES"].split(","))
os.write(status, b'{"state": "ready"}\\n')
while os.read(control, 4096): pass
os.write(status, b'{"state": "serving"}\\n')
"""

# Not in this process: waking takes over its signals and its children.
_LAUNCHER: Final = """
import sys
from rookery.errors import RookeryError
from rookery.snapshots.wake import wake
try:
    sys.exit(wake(sys.argv[1], (), program=sys.argv[2], environ={}))
except RookeryError as exc:
    sys.exit(str(exc))
"""


def attempt(program: str) -> float:
    """Make a snapshot with the CRIU *program*, wake it, and return the seconds to wake it.

    Raises:
        SnapshotFailed: it cannot be made or woken here; the message says why.
        SnapshotUnsafe, SnapshotInvalid: likewise.
    """
