"""What a process must not hold at its snapshot point: found, and named for whoever must act.

`offenders` judges plain facts; `read_process` reads them from /proc.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rookery.errors import SnapshotUnsafe
from rookery.lifecycle.snapshot.sockets import describe_socket

_STREAMS: Final = range(3)
_FINE: Final = frozenset(
    f"anon_inode:[{kind}]" for kind in ("eventpoll", "eventfd", "timerfd", "signalfd")
)
_FINE_DEVICES: Final = frozenset(
    f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")
)
_DELETED: Final = " (deleted)"
# Memory that has a name in /proc, and is none of the file system's.
_NO_FILES: Final = ("/memfd:", "/dev/zero", "/SYSV")
_LONGEST_COMMAND: Final = 120
# proc(5): O_WRONLY and O_RDWR in the octal `flags` of fdinfo.
_WRITE_FLAGS: Final = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One open descriptor, as /proc/PID/fd and fdinfo tell it."""

    number: int
    target: str
    """A path, or `socket:[INODE]`, `pipe:[INODE]`, `anon_inode:[KIND]`."""
    written: bool = False
    socket: str = ""
    """What it is, where it is a socket."""


@dataclass(frozen=True, slots=True)
class Child:
    """A child process."""

    pid: int
    command: str
    """Empty for one that ended and was not waited for."""


@dataclass(frozen=True, slots=True)
class Process:
    """What /proc says about a process."""

    descriptors: tuple[Descriptor, ...] = ()
    mapped: frozenset[str] = frozenset()
    """Names of the mappings."""
    children: tuple[Child, ...] = ()
    variables: frozenset[str] = frozenset()
    """Names of variables that are set in its environment now, and not empty."""
    started_with: frozenset[str] = frozenset()
    """The same of the environment it was started with, which stays in its memory."""


def refuse_offenders(secrets: Collection[str], given: Collection[int]) -> None:
    """Look at this process.

    Args:
        secrets: names of environment variables.
        given: descriptors that a restored process gets anew, beside the standard streams.

    Raises:
        SnapshotUnsafe: it holds something that is in no snapshot, or must not be.
    """
    found = offenders(read_process(), secrets, given)
    if found:
        raise SnapshotUnsafe(found)


def offenders(
    process: Process, secrets: Collection[str], given: Collection[int] = ()
) -> tuple[str, ...]:
    """Return what *process* must not hold, one phrase each."""
    return (
        *_open_offenders(process, {*_STREAMS, *given}),
        *_mapped_offenders(process.mapped),
        *(
            f"child process {child.pid}: {child.command or '(ended, and was not waited for)'}"
            for child in process.children
        ),
        *_secret_offenders(process, secrets),
    )


def read_process(proc: Path = Path("/proc")) -> Process:
    """Read what there is to know about this process."""
    own = proc / "self"
    return Process(
        descriptors=tuple(_read_descriptors(own)),
        mapped=_read_mapped(own),
        children=tuple(_read_children(proc, _own_id(own))),
        variables=frozenset(name for name, value in os.environ.items() if value),
        started_with=_read_first_environment(own),
    )


def _open_offenders(process: Process, given: Collection[int]) -> list[str]:
    pipes = [(one.target, one.written) for one in process.descriptors]
    found = []
    for descriptor in process.descriptors:
        both_ends = (descriptor.target, not descriptor.written) in pipes
        if descriptor.number in given and not descriptor.socket:
            continue
        problem = _problem(descriptor, both_ends=both_ends)
        if problem is not None:
            found.append(f"descriptor {descriptor.number}: {problem}")
    return found


def _problem(descriptor: Descriptor, *, both_ends: bool) -> str | None:
    target = descriptor.target
    if target.startswith("/"):
        return _file_problem(descriptor)
    if descriptor.socket:
        return descriptor.socket
    if target.startswith("pipe:"):
        if both_ends:
            return None
        return f"{target}, whose other end is not in this process"
    return None if target in _FINE else _kind(target)


def _file_problem(descriptor: Descriptor) -> str | None:
    target = descriptor.target
    if target.startswith(_NO_FILES) or target in _FINE_DEVICES:
        return None
    if target.endswith(_DELETED):
        return f"{target.removesuffix(_DELETED)}, a deleted file"
    if target.startswith("/dev/") and not target.startswith("/dev/shm/"):  # noqa: S108 - a prefix
        return f"{target}, a device"
    return f"{target}, open for writing" if descriptor.written else None


def _mapped_offenders(mapped: frozenset[str]) -> list[str]:
    found = []
    for name in sorted(mapped):
        if name.startswith("anon_inode:"):
            found.append(f"memory of {_kind(name)}")
        elif name.startswith(_NO_FILES) or not name.startswith("/"):
            continue
        elif name.endswith(_DELETED):
            found.append(f"memory of {name.removesuffix(_DELETED)}, a deleted file")
        elif name.startswith("/dev/") and not name.startswith("/dev/shm/"):  # noqa: S108
            found.append(f"memory of {name}, a device")
    return found


def _secret_offenders(process: Process, secrets: Collection[str]) -> list[str]:
    return [
        f"the environment variable {name}: set it where the snapshot is restored"
        for name in sorted(secrets)
        if name in process.variables
    ] + [
        f"the environment variable {name}: it is no longer set, but the process was started with "
        "it and has it in memory"
        for name in sorted(secrets)
        if name in process.started_with and name not in process.variables
    ]


def _kind(target: str) -> str:
    """Return `io_uring` for `anon_inode:[io_uring]`, and other names as they are."""
    prefix = "anon_inode:"
    return target.removeprefix(prefix).strip("[]") if target.startswith(prefix) else target


def _read_descriptors(own: Path) -> list[Descriptor]:
    found = []
    for entry in sorted((own / "fd").iterdir(), key=lambda entry: int(entry.name)):
        number = int(entry.name)
        try:
            target = str(entry.readlink())
            status = (own / "fdinfo" / entry.name).read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            continue  # the listing's own descriptor
        flags = next(
            (int(line.split()[1], 8) for line in status.splitlines() if line.startswith("flags:")),
            0,
        )
        found.append(
            Descriptor(
                number,
                target,
                written=bool(flags & _WRITE_FLAGS),
                socket=describe_socket(number) if target.startswith("socket:") else "",
            )
        )
    return found


def _own_id(own: Path) -> int:
    """Return this process's id in the PID namespace of that /proc, which may not be its own."""
    return int(own.readlink().name) if own.is_symlink() else os.getpid()


def _read_mapped(own: Path) -> frozenset[str]:
    lines = (own / "maps").read_text(encoding="utf-8", errors="replace").splitlines()
    # address perms offset device inode name; the name may hold spaces.
    names = (line.split(maxsplit=5) for line in lines)
    return frozenset(fields[5] for fields in names if len(fields) == 6)  # noqa: PLR2004 - above


def _read_children(proc: Path, parent: int) -> list[Child]:
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            # pid (name) state ppid; the name may hold anything, even a parenthesis.
            after_name = (entry / "stat").read_text(errors="replace").rpartition(")")[2]
            if int(after_name.split()[1]) != parent:
                continue
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        found.append(Child(int(entry.name), " ".join(arguments).strip()[:_LONGEST_COMMAND]))
    return found


def _read_first_environment(own: Path) -> frozenset[str]:
    entries = (own / "environ").read_bytes().split(b"\0")
    pairs = (os.fsdecode(entry).partition("=") for entry in entries)
    return frozenset(name for name, _, value in pairs if value)
