"""What this process may do, as capabilities: how CRIU has to be run, and which snapshots can wake.

Imported before a snapshot is woken, where every millisecond counts.
"""

import os

from rookery.errors import SnapshotFailed

# Bits of linux/capability.h.
SETPCAP = 8
SYS_ADMIN = 21
CHECKPOINT_RESTORE = 40

# With all of them CRIU gives a clone its root directory, and lets its monotonic clock go on where
# the donor's stood; without, it has to be told that it may leave both as they are.
_ALL_OF_CRIU = (12, 18, SYS_ADMIN, 25)  # NET_ADMIN, SYS_CHROOT, SYS_TIME


def of(process: int | str, kind: str = "CapEff") -> int:
    """Return the capabilities of *process*, one bit each; all of them where that cannot be read."""
    try:
        with open(f"/proc/{process}/status", "rb") as status:
            found = status.read().partition(f"\n{kind}:".encode())[2]
    except OSError:
        return -1
    return int(found.split(maxsplit=1)[0], 16) if found else -1


def may_make_namespaces(held: int) -> bool:
    """Return whether a process that has *held* may make PID namespaces."""
    return bool(held >> SYS_ADMIN & 1)


def limited(held: int) -> bool:
    """Return whether CRIU, run with *held*, has to do without some of what it can."""
    return not all(held >> bit & 1 for bit in _ALL_OF_CRIU)


def require(held: int, made_with: int) -> None:
    """See whether a process that has *held* can wake a snapshot of one that had *made_with*.

    CRIU does not end, or only after minutes, when it cannot give a process of many threads its
    capabilities back.

    Raises:
        SnapshotFailed: it cannot.
    """
    if os.geteuid() != 0:
        return  # CRIU may have capabilities of its own, and says at once when it has not
    if not (held >> SYS_ADMIN | held >> CHECKPOINT_RESTORE) & 1:
        raise SnapshotFailed("waking a snapshot takes CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN")
    if not held >> SETPCAP & 1:
        raise SnapshotFailed("waking a snapshot takes CAP_SETPCAP")
    if lacking := made_with & ~held:
        raise SnapshotFailed(
            f"the snapshot was made with more capabilities than there are here ({lacking:#x}); "
            "make one with: rookery snapshot create"
        )
