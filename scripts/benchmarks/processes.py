"""Real Rookery processes on free ports, for the time of a benchmark."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

from bare import HOME


@contextmanager
def rookery(*arguments: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run one `rookery` command until the block is left."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "rookery", *arguments),
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
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
def up(**env: str) -> Iterator[dict[str, str]]:
    """Run `rookery up` in a home of its own with the models of this one; yield its state."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "models").symlink_to((HOME / "models").absolute())
        ports = ("--storage-port=0", "--broker-port=0", "--function-port=0")
        with rookery("up", "--json", *ports, ROOKERY_HOME=str(home), **env):
            deadline = time.monotonic() + 180
            while not (home / "up.json").exists():
                if time.monotonic() > deadline:
                    raise SystemExit("bench: rookery up is not ready after 180 s")
                time.sleep(0.1)
            yield json.loads((home / "up.json").read_text())
