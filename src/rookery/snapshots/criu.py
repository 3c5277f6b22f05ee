"""CRIU's command lines: the program, the dump of a donor, and the restore of a clone.

Imported before a snapshot is woken, where every millisecond counts.
"""

import os
from collections.abc import Mapping, Sequence

from rookery.errors import CriuMissing

OLDEST = (4, 1)
"""Older ones fail on kernels from 6.x on: they cannot parse the vDSO."""

# What a clone maps its pages from: CRIU is handed an open file in the place of this path, so a
# snapshot may be moved.
MEMORY_PATH = "/rookery/memory"

STREAMS = ("stdout", "stderr", "control", "status")
"""The donor's pipes, in the order of the descriptors 1 to 4."""

# Where nobody can make a file: CRIU wants to leave statistics behind.
_NOWHERE = "/proc"
_QUIET = "-v1"  # errors
_COMMON = (
    "--manage-cgroups=ignore",  # a clone lives in the launcher's cgroup, wherever that is
)
# It then leaves root directory, clocks and the namespaces of the network as they are.
_LIMITED = ("--unprivileged",)
# What CRIU says where it merely finds out what the kernel can do.
_PROBING = ("RLIMIT", "criu/tun.c", "criu/libnetlink.c", "veth pair", "criu/net.c")


def find(setting: str | None, home: str, path: str) -> str:
    """Return the program: *setting*, or that of `scripts/install-criu` in *home*, or of *path*.

    Raises:
        CriuMissing: there is none.
    """
    if setting:
        if _is_program(setting):
            return os.path.abspath(setting)
        raise CriuMissing(f"ROOKERY_CRIU={setting} is no program that can be run")
    folders = [os.path.join(home, "criu", "bin"), *path.split(os.pathsep), "/usr/sbin"]
    for folder in folders:
        program = os.path.join(folder, "criu")
        if _is_program(program):
            return os.path.abspath(program)
    raise CriuMissing("CRIU is not installed; install it with: scripts/install-criu")


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def find_in(environ: Mapping[str, str]) -> str:
    """Return the program that *environ* leads to, as the settings of a function do.

    Raises:
        CriuMissing: there is none.
    """
    home = environ.get("ROOKERY_HOME") or ".rookery"
    return find(environ.get("ROOKERY_CRIU"), home, environ.get("PATH", os.defpath))


def dump_command(program: str, process: int, directory: str, *, limited: bool = False) -> list[str]:
    """Return the command that dumps *process* into *directory* and ends it.

    *limited*: with fewer capabilities than CRIU asks for, see `privileges`.
    """
    return [
        program,
        "dump",
        f"--tree={process}",
        f"--images-dir={directory}",
        "--log-file=dump.log",
        _QUIET,
        *_COMMON,
        *(_LIMITED if limited else ()),
    ]


def restore_command(  # noqa: PLR0913
    program: str,
    *,
    directory: str,
    log: int,
    pipes: Mapping[str, str],
    streams: Mapping[str, int],
    memory: int | None,
    limited: bool = False,
) -> list[str]:
    """Return the command that restores a clone as a child of whoever runs it, and ends.

    Args:
        program: CRIU.
        directory: the snapshot.
        log: the descriptor of the file that CRIU's log goes to.
        pipes: CRIU's names of the donor's pipes, by stream.
        streams: the descriptors that take their places.
        memory: the descriptor of the file that pages are mapped from.
        limited: with fewer capabilities than CRIU asks for, see `privileges`.
    """
    command = [
        program,
        "restore",
        f"--images-dir={directory}",
        f"--work-dir={_NOWHERE}",
        f"--log-file=/proc/self/fd/{log}",
        _QUIET,
        *_COMMON,
        *(_LIMITED if limited else ()),
        "--restore-detached",
        "--restore-sibling",
    ]
    for stream in STREAMS:
        command += ("--inherit-fd", f"fd[{streams[stream]}]:{pipes[stream]}")
    if memory is not None:
        command += ("--inherit-fd", f"fd[{memory}]:{MEMORY_PATH.lstrip('/')}")
    return command


def first_error(lines: Sequence[str]) -> str:
    """Return what CRIU's log says about its failure, without the place in its source.

    The first error is the cause; the last says no more than that restoring failed.
    """
    errors = [
        line for line in lines if "Error (" in line and not any(one in line for one in _PROBING)
    ]
    if not errors:
        return "CRIU gave no reason"
    return errors[0].partition("): ")[2].strip() or errors[0].strip()
