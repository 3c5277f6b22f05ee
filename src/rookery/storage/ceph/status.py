"""How the node is: each daemon, its health, and what it takes on disk."""

import os
from dataclasses import dataclass
from pathlib import Path

from rookery.errors import CephMissing, StartFailed
from rookery.storage.ceph import daemons
from rookery.storage.ceph.conf import Store
from rookery.storage.ceph.control import answers
from rookery.storage.ceph.daemons import DAEMONS, MON
from rookery.storage.ceph.state import CephNode
from rookery.storage.ceph.tools import plain, run

_HEALTH_SECONDS = 10
_BLOCK = 512  # what st_blocks counts in, whatever the file system


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """One daemon; it does not run where there is no *pid*."""

    name: str
    program: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The node as it was found.

    Attributes:
        up: every daemon runs and the S3 API answers.
        health: as Ceph says it, such as HEALTH_OK; "unknown" where no monitor answers.
        disk_bytes: what the folder takes on disk; files with holes count what they hold.
    """

    up: bool
    daemons: tuple[DaemonStatus, ...]
    health: str
    answers: bool
    endpoint: str
    version: str
    store: Store
    disk_bytes: int
    folder: str


def status_of(node: CephNode) -> NodeStatus:
    """Look at *node*; nothing is changed."""
    found = tuple(
        DaemonStatus(daemon.name, daemon.program, next(iter(pids[-1:]), None))
        for daemon in DAEMONS
        for pids in [daemons.pids(node.folder, daemon)]
    )
    answering = answers(node.port)
    return NodeStatus(
        up=answering and all(daemon.pid for daemon in found),
        daemons=found,
        health=_health(node) if daemons.is_running(node.folder, MON) else "unknown",
        answers=answering,
        endpoint=node.endpoint,
        version=_version(),
        store=node.store,
        disk_bytes=_disk_bytes(node.folder),
        folder=str(node.folder),
    )


def _health(node: CephNode) -> str:
    try:
        said = run(node.folder, "ceph", "--connect-timeout", "5", "health", seconds=_HEALTH_SECONDS)
    except (CephMissing, StartFailed):
        return "unknown"
    return said.strip()


def _version() -> str:
    """Return the version of the installed programs, such as 16.2.15."""
    try:
        words = plain("radosgw", "--version").split()
    except (CephMissing, StartFailed):
        return "unknown"
    return words[2] if words[:2] == ["ceph", "version"] else " ".join(words)


def _disk_bytes(folder: Path) -> int:
    return sum(
        (Path(parent) / name).lstat().st_blocks * _BLOCK
        for parent, _, names in os.walk(folder)
        for name in names
    )
