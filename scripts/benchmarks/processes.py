"""Real Rookery processes on free ports, for the time of a benchmark."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from bare import HOME
from rookery.local.access import S3Access, to_what_is_up
from rookery.local.state import LocalState, read_state
from rookery.storage.s3 import S3Store, connect


@dataclass(frozen=True)
class System:
    """A running `rookery up`."""

    state: LocalState
    access: S3Access

    def store(self, concurrency: int = 1) -> S3Store:
        """Connect to its S3."""
        return open_store(self.access, concurrency)


def open_store(access: S3Access, concurrency: int) -> S3Store:
    """Connect to the S3 at *access*, for so many threads."""
    return connect(
        endpoint=access.url,
        region=access.region,
        access_key=access.access_key,
        secret_key=access.secret_key,
        concurrency=concurrency,
    )


@contextmanager
def rookery(
    *arguments: str, stdout: int = subprocess.PIPE, **env: str
) -> Iterator[subprocess.Popen[str]]:
    """Run one `rookery` command until the block is left."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "rookery", *arguments),
            env={**os.environ, **env},
            stdout=stdout,
            stderr=log,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=60)
            if process.returncode:
                log.seek(0)
                sys.stderr.write(log.read())


def listening_url(process: subprocess.Popen[str]) -> str:
    """Return the URL that *process* prints when it listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if " listening on " in line:
            return line.rpartition(" ")[2].strip()
    raise SystemExit("bench: the process ended without listening")


def wait_ready(url: str, seconds: float = 120) -> None:
    """Wait until *url* answers 200."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if urllib3.request("GET", url, timeout=5, retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"bench: {url} is not ready after {seconds:.0f} s")


@contextmanager
def new_home() -> Iterator[Path]:
    """Make a home with the models of this one."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "models").symlink_to((HOME / "models").absolute())
        yield home


@contextmanager
def ceph_home() -> Iterator[Path]:
    """Make a home with a real Ceph that is up and keeps its objects in memory."""
    with new_home() as home:
        try:
            _ceph(home, "up", "--memory", "--port=0")
            yield home
        finally:
            _ceph(home, "down", "--delete", "--yes")


@contextmanager
def up(home: Path, *arguments: str, **env: str) -> Iterator[System]:
    """Run `rookery up` in *home*."""
    ports = ("--storage-port=0", "--receiver-port=0", "--broker-port=0", "--function-port=0")
    # Nobody reads its results: a pipe would fill up and stop it.
    with rookery(
        "up",
        "--json",
        *ports,
        *arguments,
        stdout=subprocess.DEVNULL,
        ROOKERY_HOME=str(home),
        **env,
    ) as process:
        deadline = time.monotonic() + 180
        while (state := read_state(home)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("bench: rookery up has not become ready")
            time.sleep(0.1)
        yield System(state, to_what_is_up(state, home))


def _ceph(home: Path, *arguments: str) -> None:
    command = (sys.executable, "-m", "rookery", "ceph", *arguments)
    if subprocess.run(
        command, env={**os.environ, "ROOKERY_HOME": str(home)}, check=False
    ).returncode:
        raise SystemExit(f"bench: rookery ceph {arguments[0]} failed")
