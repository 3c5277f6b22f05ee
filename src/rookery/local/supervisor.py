"""Child processes kept running: started in order, restarted when they die, stopped in reverse."""

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import urllib3

from rookery.errors import StartFailed
from rookery.local.plan import ProcessPlan

_log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG: Final = 1
_POLL_SECONDS: Final = 0.05
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 30.0
_STABLE_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Child:
    plan: ProcessPlan
    process: subprocess.Popen[bytes]
    log_start: int
    started: float
    restarts: int = 0
    restart_at: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Runs processes from the main thread: a child is killed when the thread that made it ends.

    Attributes:
        logs: the folder that holds one log file per process.
        stop_seconds: how long a process may take to end after SIGTERM before it is killed.
    """

    logs: Path
    stop_seconds: float = 30.0
    _children: list[_Child] = field(default_factory=list)

    def start(
        self,
        plans: Sequence[ProcessPlan],
        *,
        within_seconds: float,
        stopping: Callable[[], bool],
        on_ready: Callable[[ProcessPlan, float], None],
    ) -> None:
        """Start *plans* together and wait until each is ready, or *stopping* says to give up.

        Args:
            plans: the processes; they are stopped in the opposite order.
            within_seconds: how long all of them may take.
            stopping: asked between looks.
            on_ready: told each process that is ready, and after how many seconds.

        Raises:
            StartFailed: one ended or was not ready in time; the message holds its last words.
        """
        began = time.monotonic()
        # One by one into the list that `stop` ends: a later one may fail to be made.
        for plan in plans:
            self._children.append(_Child(plan, *self._spawn(plan), began))
        waiting = self._children[-len(plans) :] if plans else []
        while waiting and not stopping():
            for child in tuple(waiting):
                if child.process.poll() is not None:
                    words = self._last_words(child)
                    raise StartFailed(f"{child.plan.name} failed to start: {words}")
                if child.plan.ready_url is None or answers(child.plan.ready_url):
                    waiting.remove(child)
                    on_ready(child.plan, time.monotonic() - began)
            if waiting and time.monotonic() > began + within_seconds:
                child = waiting[0]
                raise StartFailed(
                    f"{child.plan.name} was not ready within {within_seconds:.0f} s: "
                    f"{self._last_words(child)}"
                )
            time.sleep(_POLL_SECONDS)

    def tend(self) -> None:
        """Restart what has died, each with a growing pause; call it often."""
        now = time.monotonic()
        for child in self._children:
            if child.process.poll() is None:
                if now - child.started > _STABLE_SECONDS:
                    child.restarts = 0
                continue
            if child.restart_at is None:
                pause = min(_FIRST_PAUSE_SECONDS * 2**child.restarts, _LONGEST_PAUSE_SECONDS)
                child.restart_at = now + pause
                _log.warning(
                    "%s ended with status %s; starting it again in %.1f s (log: %s)",
                    child.plan.name, child.process.returncode, pause, self._log_file(child.plan),
                )  # fmt: skip
            elif now >= child.restart_at:
                child.restarts, child.restart_at = child.restarts + 1, None
                try:
                    child.process, child.log_start = self._spawn(child.plan)
                except StartFailed as exc:
                    _log.warning("%s", exc)  # a full process table, for one, is not for ever
                child.started = now

    def stop(self) -> None:
        """End every process, the last started first, and wait for each."""
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.terminate()
                try:
                    child.process.wait(self.stop_seconds)
                except subprocess.TimeoutExpired:
                    _log.warning("%s does not end; killing it", child.plan.name)
                    child.process.kill()
                    child.process.wait()
        self._children.clear()

    def pids(self) -> Mapping[str, int]:
        """Return the process id of every process by name."""
        return {child.plan.name: child.process.pid for child in self._children}

    def _spawn(self, plan: ProcessPlan) -> tuple[subprocess.Popen[bytes], int]:
        """Start a process; return it, and where in its log file what it says begins."""
        prctl = ctypes.CDLL(None).prctl  # found before the fork: looking it up takes locks

        def die_with_parent() -> None:
            # The kernel ends this process when `rookery up` is killed: no orphans, no held ports.
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            with self._log_file(plan).open("ab") as log:
                start = log.tell()
                # A session of its own, so that Ctrl-C reaches us alone and we end things in order.
                process = subprocess.Popen(  # noqa: S603 - our own command line
                    plan.command,
                    env={**os.environ, **plan.env},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no Python locks
                )
        except (OSError, subprocess.SubprocessError) as exc:
            raise StartFailed(f"{plan.name} cannot be started: {exc}") from exc
        return process, start

    def _log_file(self, plan: ProcessPlan) -> Path:
        return self.logs / f"{plan.name}.log"

    def _last_words(self, child: _Child) -> str:
        file = self._log_file(child.plan)
        with file.open("rb") as log:
            log.seek(child.log_start)  # what an earlier run said is not why this one ended
            text = log.read().decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        said = _message(lines) or "it said nothing"
        return f"{said}\n(the whole log: {file})"


def _message(lines: Sequence[str]) -> str:
    """Return our own final error message with its continuation lines, or the last line."""
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].startswith("rookery: "):
            return "\n".join([lines[index].removeprefix("rookery: "), *lines[index + 1 :]])
    return lines[-1] if lines else ""


def answers(url: str) -> bool:
    """Whether *url* is answered with less than a server error."""
    try:
        return urllib3.request("GET", url, timeout=2, retries=False).status < 500  # noqa: PLR2004
    except urllib3.exceptions.HTTPError:
        return False
