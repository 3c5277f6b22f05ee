"""What CPUs are to this process: how many it may use, and whether they multiply int8 at once.

It uses those it may run on, for the time that its group is granted; not all that the machine has:
a container with half a CPU on a machine of 64 would start 64 threads, and stand still for most of
every tenth of a second.
"""

import os
import re
from collections.abc import Iterator
from math import ceil
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

# Linux: cgroup-v2.rst, "cpu.max"; a period that is left out is this one.
_PERIOD: Final = 100_000
# Of /proc/cpuinfo: they multiply and add four pairs of int8 at once, per lane.
_INT8: Final = frozenset({"avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8"})
# proc_pid_mountinfo(5): white space and backslashes in paths are written as three octal digits.
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class Group(NamedTuple):
    """A control group that may limit this process.

    Attributes:
        mount: where its hierarchy is mounted: no group above it can be seen.
        path: the group's own folder; *mount* itself or below it.
        unified: whether it is of version 2.
    """

    mount: PurePosixPath
    path: PurePosixPath
    unified: bool


def usable_cpus(proc: Path = Path("/proc/self")) -> int:
    """Return the CPUs this process may use, at least 1; a started half counts as one.

    The smallest of its affinity (which a cpuset narrows too) and of the quotas that version 1
    and version 2 of control groups set, on its own group or on any around it.

    Args:
        proc: the process's folder in procfs.
    """
    found = [float(len(os.sched_getaffinity(0)))]
    for group in groups(_text(proc / "cgroup") or "", _text(proc / "mountinfo") or ""):
        found.extend(_quotas(group))
    return max(1, ceil(min(found)))


def has_int8_instructions(cpu: str) -> bool:
    """Whether a CPU with the flags *cpu*, separated by spaces, computes int8 with VNNI or AMX."""
    return not _INT8.isdisjoint(cpu.split())


def groups(membership: str, mounts: str) -> list[Group]:
    """Return the groups with a CPU controller from the texts of proc's cgroup and mountinfo."""
    paths = dict(_memberships(membership))
    found = []
    for line in mounts.splitlines():
        match line.split():
            case [_, _, _, root, mount, *_, "-", "cgroup2", _, _] if True in paths:
                unified = True
            case [_, _, _, root, mount, *_, "-", "cgroup", _, options] if (
                False in paths and "cpu" in options.split(",")
            ):
                unified = False
            case _:
                continue
        top = PurePosixPath(_unescaped(mount))
        found.append(Group(top, top / _below(paths[unified], _unescaped(root)), unified))
    return found


def v2_quota(text: str) -> float | None:
    """Return the CPUs that a `cpu.max` grants: `50000 100000` is 0.5, `max 100000` no limit."""
    match text.split():
        case [quota]:
            return _share(quota, str(_PERIOD))
        case [quota, period]:
            return _share(quota, period)
    return None


def v1_quota(quota: str, period: str) -> float | None:
    """Return the CPUs that cfs_quota_us and cfs_period_us grant; a quota of -1 is no limit."""
    return _share(quota.strip(), period.strip())


def _memberships(text: str) -> Iterator[tuple[bool, str]]:
    """Yield (whether version 2, path) for the lines of /proc/self/cgroup that concern CPUs."""
    for line in text.splitlines():
        match line.split(":", 2):
            case ["0", "", path]:
                yield True, path
            case [_, controllers, path] if "cpu" in controllers.split(","):
                yield False, path


def _below(path: str, root: str) -> PurePosixPath:
    """Return where *path* lies below a mount that shows the hierarchy from *root* on."""
    group = PurePosixPath(path)
    # A namespace writes what is outside it with `..`, and a container may have mounted its own
    # group while it still sees the host's paths: what the mount shows first is then all there is.
    if ".." not in group.parts and group.is_relative_to(root):
        return group.relative_to(root)
    return PurePosixPath()


def _quotas(group: Group) -> Iterator[float]:
    """Yield every quota from the group itself up to where its hierarchy is mounted."""
    for path in (group.path, *group.path.parents):
        if not path.is_relative_to(group.mount):
            return
        folder = Path(path)
        if group.unified:
            quota = v2_quota(_text(folder / "cpu.max") or "")
        else:
            quota = v1_quota(
                _text(folder / "cpu.cfs_quota_us") or "", _text(folder / "cpu.cfs_period_us") or ""
            )
        if quota is not None:
            yield quota


def _share(quota: str, period: str) -> float | None:
    if not (quota.isdecimal() and period.isdecimal()) or int(quota) == 0 or int(period) == 0:
        return None
    return int(quota) / int(period)


def _unescaped(path: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), path)


def _text(path: Path) -> str | None:
    # A group may end while it is read, and a container may not show everything.
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return None
