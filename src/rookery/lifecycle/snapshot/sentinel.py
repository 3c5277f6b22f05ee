"""Files in a directory that a snapshot agent shares, as NVIDIA's Dynamo Snapshot names them.

    ready-for-snapshot     written here: safe to snapshot; the source's readiness probe
    snapshot-complete      written by the agent in the source: the snapshot is made
    restore-complete       written by the agent in a clone: everything is in place, go on
    rookery-restore-ready  written here: a clone that serves; its readiness probe

The directory belongs to one pod. A clone that were given its source's directory could not tell
which of the two it is.
"""

import logging
import os
import time
from pathlib import Path
from typing import Final

from rookery.errors import SnapshotFailed
from rookery.lifecycle.snapshot.protocol import Restored

_log = logging.getLogger(__name__)

READY: Final = "ready-for-snapshot"
SNAPSHOT_COMPLETE: Final = "snapshot-complete"
RESTORE_COMPLETE: Final = "restore-complete"
RESTORE_READY: Final = "rookery-restore-ready"

# inotify would wake us at once, and is what a snapshot must not hold.
_POLL_SECONDS: Final = 0.01


class SentinelDriver:
    """A `Driver` that talks to a snapshot agent through files."""

    name = "sentinel"
    descriptors = ()

    def __init__(self, directory: Path) -> None:
        """Use *directory*, which the agent sees, too; nothing is touched before `wait`."""
        self._directory = directory

    def wait(self) -> Restored | None:
        """Write `ready-for-snapshot`, and return in the clone, in the environment it had.

        Raises:
            SystemExit: this process is the source, and the snapshot of it is made. The agents
                end it, or expect it to end with status 0: it is a Job's.
            SnapshotFailed: the directory cannot be written to.
        """
        for stale in (RESTORE_COMPLETE, SNAPSHOT_COMPLETE, RESTORE_READY):
            self._remove(stale)
        self._write(READY)
        # The clone's file first: an agent may keep the source's in the same directory.
        while not self._exists(RESTORE_COMPLETE):
            if self._exists(SNAPSHOT_COMPLETE):
                _log.info("the snapshot is made; this process was its source, and ends")
                raise SystemExit(0)
            time.sleep(_POLL_SECONDS)
        return Restored()

    def report(self, refusal: str | None) -> None:
        """Write `rookery-restore-ready`; a refusal shows as a process that ends."""
        if refusal is None:
            self._write(RESTORE_READY)

    def _exists(self, name: str) -> bool:
        return (self._directory / name).exists()

    def _remove(self, name: str) -> None:
        try:
            (self._directory / name).unlink(missing_ok=True)
        except OSError as exc:
            raise self._unusable(exc) from exc

    def _write(self, name: str) -> None:
        """Create and rename, so that nobody sees the file before its content."""
        unfinished = self._directory / f".{name}.{os.getpid()}"
        try:
            unfinished.write_text("done\n", encoding="utf-8")
            unfinished.replace(self._directory / name)
        except OSError as exc:
            raise self._unusable(exc) from exc

    def _unusable(self, exc: OSError) -> SnapshotFailed:
        return SnapshotFailed(
            f"the snapshot control directory {self._directory} cannot be used: {exc.strerror}; "
            "mount it writable, or name another one in SNAPSHOT_CONTROL_DIR"
        )
