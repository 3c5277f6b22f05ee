"""Which snapshot driver this process has: what its setting says, or what is there."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from rookery.errors import SettingsInvalid
from rookery.lifecycle.snapshot.criu import PipeDriver
from rookery.lifecycle.snapshot.gvisor import CHECKPOINT, GvisorDriver
from rookery.lifecycle.snapshot.none import NoSnapshots
from rookery.lifecycle.snapshot.protocol import Driver
from rookery.lifecycle.snapshot.sentinel import SentinelDriver
from rookery.snapshots.donor import PIPES_VARIABLE

_log = logging.getLogger(__name__)

Choice = Literal["auto", "none", "criu", "sentinel", "gvisor"]

_CONTROL_VARIABLE: Final = "SNAPSHOT_CONTROL_DIR"
_DEFAULT_CONTROL_DIRECTORY: Final = "/snapshot-control"


def choose(
    choice: Choice, environ: Mapping[str, str], *, gvisor_checkpoint: Path = CHECKPOINT
) -> Driver:
    """Return the driver that *choice* names; `auto` looks what there is, in a fixed order.

    CRIU's pipes first (whoever starts a donor made them for it), then the control directory of
    an agent, then gVisor's file, else none.

    Raises:
        SettingsInvalid: the driver that is asked for cannot work here, and why.
    """
    if choice == "auto":
        choice = _found(environ, gvisor_checkpoint)
    if choice == "criu" and not environ.get(PIPES_VARIABLE):
        _log.warning(
            "ROOKERY_SNAPSHOT=criu, but nobody waits to make a snapshot: `rookery snapshot create` "
            "makes them; serving without"
        )
        return NoSnapshots()
    if choice == "criu":
        return PipeDriver(*_pipes(environ))
    if choice == "sentinel":
        return SentinelDriver(Path(environ.get(_CONTROL_VARIABLE) or _DEFAULT_CONTROL_DIRECTORY))
    if choice == "gvisor":
        return GvisorDriver(gvisor_checkpoint)
    return NoSnapshots()


def _found(environ: Mapping[str, str], gvisor_checkpoint: Path) -> Choice:
    if environ.get(PIPES_VARIABLE):
        return "criu"
    if environ.get(_CONTROL_VARIABLE):
        return "sentinel"
    if gvisor_checkpoint.exists():
        return "gvisor"
    return "none"


def _pipes(environ: Mapping[str, str]) -> tuple[int, int]:
    text = environ.get(PIPES_VARIABLE, "")
    control, comma, status = text.partition(",")
    if not (comma and control.isdecimal() and status.isdecimal()):
        problem = (
            f"{PIPES_VARIABLE}={text!r} must be two descriptors, such as 3,4; "
            "`rookery snapshot create` sets it: do not set it by hand"
        )
        raise SettingsInvalid([problem])
    return int(control), int(status)
