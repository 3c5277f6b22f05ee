"""The queues of persistent topics: who delivers from them, and how far.

Measured on 16.2: radosgw looks for new queues every 30 s; it locks each that it delivers from and
never lets go, so that its successor delivers nothing for 90 s; and a connection that is refused
leaves it waiting for ever, within seconds, so that nothing is delivered until it is started again.
"""

import json
import logging
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rookery.errors import CephMissing, StartFailed
from rookery.storage.ceph.tools import first_bytes, run

_log = logging.getLogger(__name__)

_POOL: Final = "default.rgw.log"
_NAMESPACE: Final = "notif"
_PLACE: Final = ("-p", _POOL, "-N", _NAMESPACE)
_LIST: Final = "queues_list_object"
_SECONDS: Final = 10
# The head of a queue (cls_queue_head): its mark and length, then a version, a compatible version
# and a length before itself and before each of two markers; a marker is a generation, an offset.
_HEAD: Final = struct.Struct("<HQ BBI Q BBI QQ BBI QQ")
_HEAD_MARK: Final = 0xDEAD
_FAILURES: Final = (CephMissing, StartFailed, ValueError, LookupError, TypeError)


@dataclass(frozen=True, slots=True)
class Queue:
    """A topic's queue at one moment.

    Attributes:
        front: generation and offset of the next event to deliver.
        tail: where the next event will be put; as *front* where there is none to deliver.
    """

    front: tuple[int, int]
    tail: tuple[int, int]

    @property
    def is_empty(self) -> bool:
        """There is nothing to deliver."""
        return self.front == self.tail


def parse_head(head: bytes) -> Queue:
    """Read a queue's first bytes.

    Raises:
        ValueError: they are no queue's.
    """
    if len(head) < _HEAD.size:
        raise ValueError(f"a queue's head has {_HEAD.size} bytes, not {len(head)}")
    fields = _HEAD.unpack_from(head)
    if fields[0] != _HEAD_MARK:
        raise ValueError(f"a queue begins with {_HEAD_MARK:#x}, not {fields[0]:#x}")
    front, tail = fields[9:11], fields[14:16]
    return Queue((front[0], front[1]), (tail[0], tail[1]))


def read_queue(folder: Path, topic: str) -> Queue | None:
    """Return the queue of *topic*, or None where there is none or it cannot be looked at."""
    try:
        # The object grows to 128 MiB, so not all of it.
        return parse_head(first_bytes(folder, _HEAD.size, "rados", *_PLACE, "get", topic, "-"))
    except _FAILURES as exc:
        _log.debug("the queue of %s cannot be looked at: %s", topic, exc)
        return None


def is_delivering(folder: Path, topic: str) -> bool:
    """Say whether a radosgw has taken charge of the queue of *topic*."""
    try:
        return bool(_holders(folder, topic))
    except _FAILURES as exc:
        _log.debug("the queue of %s cannot be looked at: %s", topic, exc)
        return False


def release_queues(folder: Path) -> None:
    """Break the locks on every topic's queue, while no radosgw runs.

    A failure costs time only: the locks expire.
    """
    try:
        pools = run(folder, "ceph", "osd", "pool", "ls", seconds=_SECONDS).split()
        if _POOL not in pools or _LIST not in _rados(folder, "ls").splitlines():
            return
        for queue in _rados(folder, "listomapkeys", _LIST).splitlines():
            for lock, holder, cookie in _holders(folder, queue):
                _rados(folder, "lock", "break", queue, lock, holder, "--lock-cookie", cookie)
    except _FAILURES as exc:
        _log.warning("events of persistent topics may take 90 s longer: %s", exc)


def _holders(folder: Path, queue: str) -> tuple[tuple[str, str, str], ...]:
    """Return lock, holder and cookie of all who hold *queue*; a lock may have no holder."""
    return tuple(
        (lock["name"], holder["name"], holder["cookie"])
        for lock in json.loads(_rados(folder, "lock", "list", queue))["locks"]
        for holder in json.loads(_rados(folder, "lock", "info", queue, lock["name"]))["lockers"]
    )


def _rados(folder: Path, *arguments: str) -> str:
    return run(folder, "rados", *_PLACE, *arguments, seconds=_SECONDS)
