"""The process a snapshot is taken of: started in its own PID namespace, and watched until it waits.

It is pid 1 there, so that any number of clones can have the same process ids at the same time.
Where no namespace may be made, in a container without CAP_SYS_ADMIN, it gets process ids that will
be free in the next container, too: there is then one clone for each.
"""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from rookery.errors import FunctionInvalid, SnapshotFailed
from rookery.snapshots import criu, privileges

_MISCONFIGURED: Final = 78  # sysexits(3), as `rookery serve` ends with
PIPES_VARIABLE: Final = "ROOKERY_SNAPSHOT_PIPES"

# --kill-child: nothing is left of the donor should this process be killed.
_IN_A_NAMESPACE: Final = ("unshare", "--pid", "--fork", "--kill-child", "setsid")
# It needs none of the capabilities that its container has for CRIU; a clone has what it has.
_AMONG_OURS: Final = ("setpriv", "--pdeathsig=KILL", "--bounding-set=-all", "--inh-caps=-all")
_FREE_ELSEWHERE: Final = 1000


@dataclass(frozen=True, slots=True)
class Donor:
    """A process that waits at the snapshot point.

    Attributes:
        process: its id, as we see it.
        pipes: CRIU's names of its pipes, by stream.
        capabilities: those that whoever wakes it needs as well, one bit each.
    """

    process: int
    pipes: Mapping[str, str]
    capabilities: int = 0


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
        namespace = privileges.may_make_namespaces(privileges.of("self"))
        if not namespace:
            _use_up_process_ids()
        started = _start(
            (*(_IN_A_NAMESPACE if namespace else _AMONG_OURS), *command),
            environ,
            (control_read.fileno(), status_write.fileno()),
            new_session=not namespace,
        )
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
        process = _child_of(started.pid) if namespace else started.pid
        yield Donor(process, pipes, privileges.of(process, "CapPrm"))


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    read, write = os.pipe()
    return (
        stack.enter_context(os.fdopen(read, "rb", buffering=0)),
        stack.enter_context(os.fdopen(write, "wb", buffering=0)),
    )


def _start(
    command: Sequence[str],
    environ: Mapping[str, str],
    pipes: tuple[int, int],
    *,
    new_session: bool,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603
            command,
            env={**environ, PIPES_VARIABLE: f"{pipes[0]},{pipes[1]}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pipes,
            cwd=_working_folder(),
            start_new_session=new_session,
        )
    except OSError as exc:
        raise SnapshotFailed(
            f"{command[0]} cannot be run: {exc.strerror}; it is in the package util-linux"
        ) from exc


def _working_folder() -> str:
    """Return a folder that CRIU can write to for a moment, and that is there when it wakes."""
    lasting = "/tmp"  # noqa: S108 - nothing is opened in it by a name that can be foreseen
    return lasting if os.access(lasting, os.W_OK | os.X_OK) else tempfile.gettempdir()


def _use_up_process_ids() -> None:
    """Leave the low process ids behind, which the first processes of every container have."""
    last = 0
    while last < _FREE_ELSEWHERE:
        process = os.posix_spawnp("true", ["true"], os.environ)
        os.waitpid(process, 0)
        if process < last:  # they have come round
            return
        last = process


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
