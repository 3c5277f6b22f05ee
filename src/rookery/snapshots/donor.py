"""The process a snapshot is taken of: started in its own PID namespace, and watched until it waits.

It is pid 1 there, so that any number of clones can have the same process ids at the same time.
"""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from rookery.errors import FunctionInvalid, SnapshotFailed
from rookery.snapshots import criu

_MISCONFIGURED: Final = 78  # sysexits(3), as `rookery serve` ends with
PIPES_VARIABLE: Final = "ROOKERY_SNAPSHOT_PIPES"

# --kill-child: nothing is left of the donor should this process be killed.
_IN_A_NAMESPACE: Final = ("unshare", "--pid", "--fork", "--kill-child", "setsid")


@dataclass(frozen=True, slots=True)
class Donor:
    """A process that waits at the snapshot point.

    Attributes:
        process: its id, as we see it.
        pipes: CRIU's names of its pipes, by stream.
    """

    process: int
    pipes: Mapping[str, str]


@contextmanager
def run_donor(
    command: Sequence[str], environ: Mapping[str, str], on_line: Callable[[str], None]
) -> Iterator[Donor]:
    """Run *command* until it waits at the snapshot point; end it when the block is left.

    Args:
        command: what to run.
        environ: its whole environment; the variable that names its pipes is added.
        on_line: called with every line it prints, from another thread.

    Raises:
        FunctionInvalid: it says that it cannot be started, or not be snapshotted, as it is.
        SnapshotFailed: it cannot be started, or ended before it waited.
    """
    with ExitStack() as stack:
        control_read, control_write = _pipe(stack)
        status_read, status_write = _pipe(stack)
        started = _start(command, environ, (control_read.fileno(), status_write.fileno()))
        relays: list[threading.Thread] = []
        stack.callback(_end, started, relays)
        assert started.stdout is not None  # noqa: S101 - both are pipes
        assert started.stderr is not None  # noqa: S101
        # Once it waits, all that can follow is what CRIU makes of it, and unshare's surprise.
        waiting = threading.Event()
        streams = (started.stdout, started.stderr)
        relays += [_relay(stream, on_line, waiting) for stream in streams]
        status_write.close()  # what is left open would hide that the process has ended
        refusal = _refusal(status_read.readline(), started)
        if refusal is not None:
            for relay in relays:
                relay.join()
            # As the function itself would have ended: whether to try again, or to mend something.
            kind = FunctionInvalid if started.returncode == _MISCONFIGURED else SnapshotFailed
            raise kind(refusal)
        waiting.set()
        ends = (*streams, control_write, status_read)
        pipes = {stream: _name(end) for stream, end in zip(criu.STREAMS, ends, strict=True)}
        yield Donor(_child_of(started.pid), pipes)


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    read, write = os.pipe()
    return (
        stack.enter_context(os.fdopen(read, "rb", buffering=0)),
        stack.enter_context(os.fdopen(write, "wb", buffering=0)),
    )


def _start(
    command: Sequence[str], environ: Mapping[str, str], pipes: tuple[int, int]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603
            (*_IN_A_NAMESPACE, *command),
            env={**environ, PIPES_VARIABLE: f"{pipes[0]},{pipes[1]}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pipes,
        )
    except OSError as exc:
        raise SnapshotFailed(
            f"unshare cannot be run: {exc.strerror}; it is in the package util-linux"
        ) from exc


def _refusal(line: bytes, started: subprocess.Popen[bytes]) -> str | None:
    """Return why the process that said *line* cannot be snapshotted; None where it can."""
    if not line:
        return (
            f"the function ended with exit status {started.wait()} before it could be "
            "snapshotted; what it said stands above"
        )
    said = json.loads(line)
    if said["state"] == "ready":
        return None
    started.wait()
    return f"the function cannot be snapshotted: {said['reason']}"


def _end(started: subprocess.Popen[bytes], relays: Sequence[threading.Thread]) -> None:
    with started:  # closes the pipes
        started.kill()
        started.wait()
        for relay in relays:
            relay.join()


def _relay(
    stream: IO[bytes], on_line: Callable[[str], None], waiting: threading.Event
) -> threading.Thread:
    def run() -> None:
        for line in stream:
            if not waiting.is_set():
                on_line(line.decode(errors="replace").rstrip("\n"))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _name(end: IO[bytes]) -> str:
    """Return what the kernel and CRIU call a pipe: both ends have one name."""
    return f"pipe:[{os.fstat(end.fileno()).st_ino}]"


def _child_of(process: int) -> int:
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    if not children:
        raise SnapshotFailed("the function ended when it was about to be snapshotted")
    return int(children.split()[0])
