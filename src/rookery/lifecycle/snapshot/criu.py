"""CRIU takes the snapshot: its creator and its launcher talk to this process through two pipes.

CRIU gives a restored process other pipes in the place of those that it was dumped with, so what
the launcher writes is the first thing that a clone reads.
"""

import ctypes
import json
import logging
import os
import signal
import time
from collections.abc import Mapping
from typing import Final

from rookery.errors import SnapshotFailed
from rookery.lifecycle.snapshot.protocol import Restored

_log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG: Final = 1
_CHUNK: Final = 65_536


class PipeDriver:
    """A `Driver` that reads one message from *control* and writes lines of JSON to *status*."""

    name = "criu"

    def __init__(self, control: int, status: int) -> None:
        """Take over the two descriptors."""
        self.descriptors = (control, status)
        self._control = control
        self._status = status
        self._reported = False
        self._moments: dict[str, float] = {}

    def wait(self) -> Restored | None:
        """Say `ready`, and read what the launcher sends to a restored process."""
        self._say({"state": "ready"})
        message = b""
        while part := os.read(self._control, _CHUNK):
            message += part
        os.close(self._control)
        # Nobody would pass signals on, or notice the end. Before the server heeds SIGTERM, pid 1
        # of a namespace would not even end by it.
        _end_with_parent(signal.SIGKILL)
        if not message:
            raise SnapshotFailed("whoever was to make or restore the snapshot went away")
        sent = json.loads(message)
        self._moments = {**sent.get("moments", {}), "told": time.time()}
        return Restored(
            environ=sent["environ"],
            arguments=tuple(sent["arguments"]),
            directory=sent["directory"],
        )

    def report(self, refusal: str | None) -> None:
        """Tell the launcher, once; it boots normally after a refusal."""
        if self._reported:
            return
        self._reported = True
        if refusal is None:
            _end_with_parent(signal.SIGTERM)
            self._say({"state": "serving"})
            self._log_moments()
        else:
            self._say({"state": "refused", "reason": refusal})
        os.close(self._status)

    def _log_moments(self) -> None:
        moments = {**self._moments, "listening": time.time()}
        if not {"started", "criu", "checked", "restored"} <= moments.keys():
            return
        steps = (
            ("started", "listening"),
            ("started", "criu"),
            ("criu", "restored"),
            ("criu", "checked"),
            ("restored", "told"),
            ("told", "listening"),
        )
        _log.info(
            "awake after %.0f ms: its manifest read in %.0f ms, restored in %.0f ms (meanwhile "
            "checked in %.0f ms), told in %.0f ms, hooks run and listening in %.0f ms",
            *((moments[end] - moments[begin]) * 1000 for begin, end in steps),
        )

    def _say(self, line: Mapping[str, str]) -> None:
        try:
            os.write(self._status, json.dumps(line).encode() + b"\n")
        except OSError as exc:
            raise SnapshotFailed(f"whoever restored the snapshot went away: {exc}") from exc


def _end_with_parent(number: signal.Signals) -> None:
    """Ask for signal *number* when the parent of this process ends; prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))
