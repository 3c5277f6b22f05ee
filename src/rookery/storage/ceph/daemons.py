"""The node's three daemons: found by their command line, started, stopped and killed."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rookery.errors import CephInvalid, StartFailed
from rookery.storage.ceph.conf import FILE
from rookery.storage.ceph.tools import last_words, run

_POLL_SECONDS: Final = 0.02
_START_SECONDS: Final = 60
_LOG_BYTES: Final = 16 * 1024 * 1024
_TAIL_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program of Ceph that runs in the background, by the name Ceph gives it."""

    name: str
    program: str
    arguments: tuple[str, ...]


MON: Final = Daemon("mon.a", "ceph-mon", ("-i", "a"))
OSD: Final = Daemon("osd.0", "ceph-osd", ("-i", "0"))
RGW: Final = Daemon("client.rgw", "radosgw", ("-n", "client.rgw"))
# In the order of their start; they are stopped in the opposite one.
DAEMONS: Final = (MON, OSD, RGW)


def daemon_named(name: str) -> Daemon:
    """Return the daemon called *name* (`mon.a`, `osd.0`, `client.rgw`).

    Raises:
        CephInvalid: there is none.
    """
    for daemon in DAEMONS:
        if daemon.name == name:
            return daemon
    known = ", ".join(daemon.name for daemon in DAEMONS)
    raise CephInvalid(f"there is no daemon {name!r}; there are {known}")


def pids(folder: Path, daemon: Daemon) -> tuple[int, ...]:
    """Return the processes that run *daemon* of the node in *folder*, the newest last.

    They are found by their command lines, which the kernel keeps: a pid file may be lost, torn,
    or name a process that has nothing to do with us.
    """
    conf = os.fsencode(folder / FILE)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if Path(os.fsdecode(words[0])).name == daemon.program and conf in words:
                found.append((_start_time(entry), int(entry.name)))
    return tuple(pid for _, pid in sorted(found))


def is_running(folder: Path, daemon: Daemon) -> bool:
    """Say whether *daemon* of the node in *folder* has a process."""
    return bool(pids(folder, daemon))


def start(folder: Path, daemon: Daemon) -> None:
    """Start *daemon* and return once it has put itself into the background.

    Raises:
        StartFailed: it ended instead; the message holds its last words.
    """
    _rotate(log_file(folder, daemon))
    try:
        run(folder, daemon.program, *daemon.arguments, seconds=_START_SECONDS)
    except StartFailed as exc:
        raise StartFailed(f"{exc}\n(the whole log: {log_file(folder, daemon)})") from exc


def stop(folder: Path, daemon: Daemon, *, seconds: float) -> bool:
    """End *daemon* by SIGTERM, and by SIGKILL after *seconds*; return whether it ended by itself.

    One that does not run has ended by itself.
    """
    return _end(folder, daemon, signal.SIGTERM, seconds) or not kill(folder, daemon)


def kill(folder: Path, daemon: Daemon) -> bool:
    """End *daemon* by SIGKILL, as a crash would; return whether there was one to kill."""
    was_running = is_running(folder, daemon)
    _end(folder, daemon, signal.SIGKILL, _START_SECONDS)
    return was_running


def log_file(folder: Path, daemon: Daemon) -> Path:
    """Return where *daemon* logs."""
    return folder / "logs" / f"{daemon.name}.log"


def log_tail(folder: Path, daemon: Daemon) -> str:
    """Return the last words of *daemon*'s log."""
    try:
        with log_file(folder, daemon).open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _TAIL_BYTES))
            return last_words(log.read().decode(errors="replace"))
    except OSError:
        return "it has no log"


def _end(folder: Path, daemon: Daemon, number: signal.Signals, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    ending = pids(folder, daemon)
    for pid in ending:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    while is_running(folder, daemon) or any(map(_holds_files, ending)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _holds_files(pid: int) -> bool:
    """Say whether a process still has its files and their locks.

    One that is ending first loses its memory, and its command line with it, and its files only
    when its last thread has gone.
    """
    entry = Path("/proc") / str(pid)
    try:
        threads = len(list((entry / "task").iterdir()))
        state = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return threads > 1 or state not in {"Z", "X"}


def _start_time(entry: Path) -> int:
    """Return when a process began, in clock ticks since boot (proc(5), stat, field 22)."""
    return int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])


def _rotate(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
