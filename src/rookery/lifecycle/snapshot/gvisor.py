"""gVisor takes the snapshot: a file in its /proc that one writes to and reads from.

Opening it registers for the next checkpoint, writing `1` asks for one, reading blocks until it
is over and says what this process is now: `resume`, the one that was snapshotted; `restore`, a
clone; or `error`. (gVisor's user guide, "Checkpoint/Restore", application-driven.)
"""

import errno
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rookery.errors import SnapshotFailed
from rookery.lifecycle.snapshot.protocol import Restored

_log = logging.getLogger(__name__)

CHECKPOINT: Final = Path("/proc/gvisor/checkpoint")
_ENVIRON: Final = Path("/proc/gvisor/spec_environ")
_LONGEST_ANSWER: Final = 64
# Only some containers may ask; the others wait for somebody else's request (ENXIO: it is made).
_NOT_OURS_TO_ASK: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBADF, errno.ENXIO)


class GvisorDriver:
    """A `Driver` for a container in gVisor whose pod allows checkpoints from inside."""

    name = "gvisor"
    descriptors = ()

    def __init__(self, checkpoint: Path = CHECKPOINT, environ: Path = _ENVIRON) -> None:
        """Use these two files; nothing is touched before `wait`."""
        self._checkpoint = checkpoint
        self._environ = environ

    def wait(self) -> Restored | None:
        """Ask for a checkpoint, or wait for one; return in the clone with its environment.

        Raises:
            SnapshotFailed: gVisor reports an error, or has no such file.
        """
        answer = self._ask()
        if answer == "resume":
            return None
        if answer == "restore":
            return Restored(environ=self._read_environ())
        raise SnapshotFailed(f"gVisor did not take a checkpoint: it answered {answer!r}")

    def report(self, refusal: str | None) -> None:
        """Nobody is listening: a refusal shows as a process that ends."""

    def _ask(self) -> str:
        try:
            descriptor = self._open()
            try:
                self._request(descriptor)
                return os.read(descriptor, _LONGEST_ANSWER).decode(errors="replace").strip()
            finally:
                os.close(descriptor)
        except OSError as exc:
            raise SnapshotFailed(
                f"{self._checkpoint} cannot be used: {exc.strerror}; is the annotation "
                "dev.gvisor.internal.checkpoint.path set on the pod's first container?"
            ) from exc

    def _open(self) -> int:
        try:
            return os.open(self._checkpoint, os.O_RDWR | os.O_CLOEXEC)
        except OSError as exc:
            if exc.errno not in _NOT_OURS_TO_ASK:
                raise
            return os.open(self._checkpoint, os.O_RDONLY | os.O_CLOEXEC)

    def _request(self, descriptor: int) -> None:
        try:
            os.write(descriptor, b"1")
        except OSError as exc:
            if exc.errno not in _NOT_OURS_TO_ASK:
                raise
            _log.info("waiting for a checkpoint that is requested elsewhere: %s", exc.strerror)

    def _read_environ(self) -> Mapping[str, str] | None:
        try:
            block = self._environ.read_bytes()
        except FileNotFoundError:
            return None
        pairs = (os.fsdecode(entry).partition("=") for entry in block.split(b"\0"))
        return {name: value for name, separator, value in pairs if name and separator}
