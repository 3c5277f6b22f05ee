"""Measures from outside how long a command takes to its first answer, and its memory then."""

import http.client
import re
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import IO, Final
from urllib.parse import urlsplit

from rookery.errors import StartFailed

_SECONDS: Final = 180
_LISTENING: Final = re.compile(r" listening on (http://\S+)")
_BOOTED: Final = "booting without the snapshot: "
_STEPS: Final = re.compile(r"(read|restored|checked|told|listening|took) (?:in )?(\d+) ms")


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a function; seconds are counted from before its command was executed.

    Attributes:
        bound: seconds until it said where it listens.
        answered: seconds until its first answer was read, which was 200.
        again: seconds that the same question took once more.
        answer: the first answer.
        faults: pages that the process which answered had to be given by then.
        rss: bytes in memory of all its processes, shared pages counted in each.
        pss: the same, shared pages divided among those who share them.
        steps: milliseconds by step, where it says how it woke; `took` are the hooks.
    """

    bound: float
    answered: float
    again: float
    answer: bytes
    faults: int
    rss: int
    pss: int
    steps: Mapping[str, float]


def time_start(command: Sequence[str], environ: Mapping[str, str], image: bytes) -> Start:
    """Run *command*, ask it about *image* as soon as it listens, and end it.

    Raises:
        StartFailed: it ended, was booted beside its snapshot, or did not answer with 200.
    """
    (start,) = time_starts([command], environ, image)
    return start


def time_starts(
    commands: Iterable[Sequence[str]], environ: Mapping[str, str], image: bytes
) -> list[Start]:
    """Do so with all *commands* one after the other, which then run at the same time.

    Memory is measured when all have answered, so that `pss` shows what they share.

    Raises:
        StartFailed: see `time_start`.
    """
    runs: list[_Run] = []
    try:
        for command in commands:
            runs.append(_Run(command, environ))
            runs[-1].ask(image)
        return [run.result() for run in runs]
    finally:
        for run in runs:
            run.end()


class _Run:
    """A command that is being measured."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = command
        self._lines: list[str] = []
        self._bound = self._answered = self._again = 0.0
        self._answer = b""
        self._faults = 0
        self._started = perf_counter()
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self._process.stdout is not None  # noqa: S101 - both are pipes
        assert self._process.stderr is not None  # noqa: S101
        self._stdout = self._process.stdout
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,))
        self._reader.start()
        # Whatever hangs is ended, which ends the wait for its lines and its answer.
        self._alarm = threading.Timer(_SECONDS, self._process.kill)
        self._alarm.start()

    def ask(self, image: bytes) -> None:
        """Post *image* as soon as the process says where."""
        found = None
        while found is None and (line := self._stdout.readline()):
            found = _LISTENING.search(line)
        if found is None:
            raise self._failed("ended before it listened")
        self._bound = perf_counter() - self._started
        connection = http.client.HTTPConnection(urlsplit(found[1]).netloc, timeout=_SECONDS)
        try:
            self._answer = self._post(connection, image)
            self._answered = perf_counter() - self._started
            self._faults = _faults(_family(self._process.pid)[-1])
            self._post(connection, image)
            self._again = perf_counter() - self._started - self._answered
        finally:
            connection.close()

    def _post(self, connection: http.client.HTTPConnection, image: bytes) -> bytes:
        try:
            connection.request("POST", "/", image, {"Content-Type": "image/jpeg"})
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise self._failed(f"did not answer: {exc}") from exc
        if response.status != HTTPStatus.OK:
            raise self._failed(f"answered {response.status}: {answer.decode(errors='replace')}")
        return answer

    def result(self) -> Start:
        """Return what was measured, with the memory of this moment."""
        said = "".join(self._lines)
        if _BOOTED in said:
            raise self._failed(f"was not woken: {said.partition(_BOOTED)[2].splitlines()[0]}")
        sizes = [_memory(process) for process in _family(self._process.pid)]
        return Start(
            bound=self._bound,
            answered=self._answered,
            again=self._again,
            answer=self._answer,
            faults=self._faults,
            rss=sum(rss for rss, _ in sizes),
            pss=sum(pss for _, pss in sizes),
            steps={name: float(count) for name, count in _STEPS.findall(said)},
        )

    def end(self) -> None:
        """End the process, and wait for that."""
        self._process.terminate()
        self._process.wait()
        self._alarm.cancel()
        self._reader.join()
        self._stdout.close()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            self._lines.extend(stream)

    def _failed(self, what: str) -> StartFailed:
        self.end()
        return StartFailed(f"{' '.join(self._command)} {what}\n{''.join(self._lines[-10:])}")


def _family(process: int) -> list[int]:
    """Return *process* and all that came from it."""
    family = [process]
    for member in family:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            family += map(int, children.read_text(encoding="ascii").split())
    return family


def _faults(process: int) -> int:
    """Return how many page faults a process has had, minor and major; proc(5)."""
    # pid (name) state ...; the name may hold anything, even a parenthesis.
    after_name = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2]
    fields = after_name.split()
    return int(fields[7]) + int(fields[9])


def _memory(process: int) -> tuple[int, int]:
    """Return resident bytes, and the proportional share of them; proc(5)."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {
        name: int(rest.split()[0]) * 1024 for name, _, rest in (x.partition(":") for x in lines)
    }
    return sizes["Rss"], sizes["Pss"]
