"""Whole systems of real processes: `rookery up` in a home of its own, on free ports."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from rookery.events.broker.client import follow, head, triggers
from rookery.events.wire import CloudEvent
from rookery.local.access import to_what_is_up
from rookery.local.state import LocalState, read_state
from rookery.storage.s3 import S3Store, connect

ROOT = Path(__file__).parents[2]
PHOTOGRAPH = ROOT / "functions" / "classify" / "data" / "test1.jpg"
_START_SECONDS = 150


def wait_until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Look until *done*, and fail saying *what* was waited for."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.02)


@dataclass(frozen=True)
class System:
    """A running `rookery up`."""

    home: Path
    process: subprocess.Popen[str]
    state: LocalState
    store: S3Store

    def put(self, key: str, data: bytes) -> None:
        self.store.write(self.state.bucket, key, data, content_type="application/octet-stream")

    def head(self) -> int:
        return head(self.state.broker_url)

    def results(self, number: int, *, after: int, seconds: float = 30) -> list[CloudEvent]:
        """The first *number* of our own events after the offset *after*."""
        deadline = time.monotonic() + seconds
        found: list[CloudEvent] = []
        for _, event in follow(
            self.state.broker_url,
            after=after,
            type_prefix="dev.rookery.",
            wait=1,
            stop=lambda: time.monotonic() > deadline,
        ):
            found.append(event)
            if len(found) == number:
                return found
        pytest.fail(f"{len(found)} of {number} results within {seconds:.0f} s\n{self.logs()}")

    def journal(self, type_prefix: str) -> list[CloudEvent]:
        """Every event of a type that is in the broker's journal now."""
        newest = self.head()
        found: list[CloudEvent] = []
        for offset, event in follow(self.state.broker_url, after=0, wait=0.1, stop=lambda: False):
            if event.type.startswith(type_prefix):
                found.append(event)
            if offset == newest:
                break
        return found

    def settle(self, seconds: float = 60) -> None:
        """Wait until the broker has nothing left to deliver."""

        def settled() -> bool:
            return all(trigger["pending"] == 0 for trigger in triggers(self.state.broker_url))

        wait_until(settled, seconds, "the delivery of everything")

    def pid(self, name: str) -> int | None:
        """The process id of the child called *name*, read from the kernel."""
        marks = {
            "storage": ["storage", "serve"],
            "broker": ["broker", "serve"],
            "source": ["source"],
        }.get(name, ["serve", "--host=127.0.0.1"])
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and "rookery" in words and set(marks) <= set(words):
                return int(entry.name)
        return None

    def kill(self, name: str) -> None:
        """Kill the child called *name* with SIGKILL, if it is running at this moment."""
        if (pid := self.pid(name)) is not None:
            os.kill(pid, signal.SIGKILL)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Stop the child called *name* for a while: it takes connections, and answers nothing."""
        pid = self.pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def logs(self) -> str:
        return "\n".join(
            f"--- {file.name}\n{file.read_text(errors='replace')[-2000:]}"
            for file in sorted((self.home / "logs").glob("*.log"))
        )


@contextmanager
def running(home: Path, *arguments: str, log: IO[str], **env: str) -> Iterator[System]:
    process = subprocess.Popen(
        (
            sys.executable, "-m", "rookery", "up", "--functions", str(ROOT / "functions"),
            "--storage-port=0", "--broker-port=0", "--function-port=0", *arguments,
        ),
        env={**os.environ, **env, "ROOKERY_HOME": str(home)},
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    try:
        wait_until(
            lambda: process.poll() is not None or read_state(home) is not None,
            _START_SECONDS,
            "rookery up",
        )
        state = read_state(home)
        if state is None:
            log.seek(0)
            pytest.fail(f"rookery up ended: {log.read()}")
        access = to_what_is_up(state, home)
        store = connect(
            endpoint=access.url,
            region=access.region,
            access_key=access.access_key,
            secret_key=access.secret_key,
        )
        yield System(home, process, state, store)
        store.close()
    finally:
        process.terminate()
        process.wait(60)


def home_with(models: Path, folder: Path) -> Path:
    home = folder / "home"
    home.mkdir()
    (home / "models").symlink_to(models)
    return home


def data_of(event: CloudEvent) -> dict[str, object]:
    data = json.loads(event.data)
    assert isinstance(data, dict)
    return data
