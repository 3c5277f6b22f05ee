"""What goes wrong during a soak, at random moments, to real processes."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rookery.storage.ceph import daemons
from rookery.storage.ceph.control import start_daemon
from rookery.storage.ceph.daemons import OSD, RGW, Daemon
from rookery.storage.ceph.state import CephNode


@dataclass(frozen=True)
class Fault:
    """One kind of fault; *strike* does it and undoes it, unless somebody else does."""

    name: str
    strike: Callable[[], None]


@dataclass
class Injector:
    """Strikes with one fault after the other until it is told to stop.

    Attributes:
        struck: how often each fault was made.
    """

    faults: Sequence[Fault]
    randomly: random.Random
    every_seconds: tuple[float, float]
    struck: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start striking."""
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the fault in hand, and make no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(self.randomly.uniform(*self.every_seconds)):
                fault = self.randomly.choice(self.faults)
                fault.strike()
                self.struck[fault.name] += 1
        except BaseException:
            # What stays broken would never be uploaded to: end the soak, and say why.
            os.kill(os.getpid(), signal.SIGINT)
            raise


def of_system(up: int, node: CephNode) -> tuple[Fault, ...]:
    """Return the faults of the `rookery up --ceph` with process id *up* over the Ceph *node*.

    What is killed, `rookery up` starts again; what is frozen goes on after a few seconds, and
    looks meanwhile like a machine that hangs or a network that is cut.
    """

    def kill(mark: str) -> Callable[[], None]:
        def strike() -> None:
            for pid in children(up, mark):
                _send(pid, signal.SIGKILL)

        return strike

    def freeze(pids: Callable[[], Sequence[int]], seconds: float) -> Callable[[], None]:
        def strike() -> None:
            frozen = pids()
            for pid in frozen:
                _send(pid, signal.SIGSTOP)
            time.sleep(seconds)
            for pid in frozen:
                _send(pid, signal.SIGCONT)

        return strike

    def crash(daemon: Daemon) -> Callable[[], None]:
        def strike() -> None:
            daemons.kill(node.folder, daemon)
            start_daemon(node.conf, daemon)

        return strike

    return (
        Fault("broker killed -9", kill("broker")),
        Fault("receiver killed -9", kill("source")),
        Fault("function killed -9", kill("serve")),
        Fault("radosgw killed -9", crash(RGW)),
        Fault("OSD killed -9", crash(OSD)),
        Fault("OSD frozen for 5 s", freeze(lambda: daemons.pids(node.folder, OSD), 5)),
        Fault("broker frozen for 5 s", freeze(lambda: children(up, "broker"), 5)),
        Fault("receiver frozen for 5 s", freeze(lambda: children(up, "source"), 5)),
        Fault("function frozen for 12 s", freeze(lambda: children(up, "serve"), 12)),
    )


def children(parent: int, command: str) -> list[int]:
    """Return the processes that *parent* started as `rookery COMMAND …`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            started_by = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if started_by == parent and f"rookery\0{command}" in "\0".join(words):
            found.append(int(entry.name))
    return found


def resident_mebibytes(pid: int) -> float:
    """Return the resident memory of a process; 0 when it has gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return int(sizes[0]) / 1024 if sizes else 0.0


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it died by itself meanwhile
        os.kill(pid, number)
