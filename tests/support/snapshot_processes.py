"""Snapshots for tests: what makes and wakes them, and what they leave behind."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from rookery.errors import CriuMissing, RookeryError
from rookery.snapshots import criu, manifest
from rookery.snapshots.facts import facts
from rookery.snapshots.trial import attempt

if TYPE_CHECKING:
    from conftest import Launched

ROOT = Path(__file__).parents[2]
TWIN = ROOT / "tests" / "end_to_end" / "functions" / "twin"
LISTENING = r"listening on (http://\S+)"
BOOTING = r"^rookery: booting without the snapshot: (.*)$"
_CREATE_SECONDS = 120


def usable_criu() -> str:
    """Return a CRIU that can make and wake a snapshot here; skip the test where there is none."""
    if os.geteuid() != 0:
        pytest.skip("making snapshots takes root")
    try:
        program = criu.find_in({"ROOKERY_HOME": str(ROOT / ".rookery"), **os.environ})
    except CriuMissing as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    try:
        attempt(program, on_line=lambda _: None)
    except RookeryError as exc:
        if os.environ.get("CI") == "true":
            raise  # there it works: what fails is ours
        pytest.skip(f"{program} can make or wake no snapshot here: {exc}")
    return program


def create(
    function: str | Path, directory: Path, environ: Mapping[str, str], *options: str
) -> "subprocess.CompletedProcess[str]":
    """Run `rookery snapshot create`, however it ends."""
    return subprocess.run(
        (
            *command("snapshot", "create", str(function), "-o", str(directory)),
            f"--functions={ROOT / 'functions'}",
            *options,
        ),
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_CREATE_SECONDS,
    )


def created(function: str | Path, directory: Path, environ: Mapping[str, str]) -> Path:
    """Make a snapshot, which must succeed, and return its folder."""
    done = create(function, directory, environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def command(*arguments: str) -> tuple[str, ...]:
    """Return a command line of ours by the installed program, which wakes snapshots itself."""
    return (str(Path(sys.executable).parent / "rookery"), *arguments)


def awake(launched: "Launched") -> str:
    """Return the URL of a woken snapshot; fail where the function was booted instead."""
    url = launched.said(LISTENING)[1]
    launched.said("is ready after")  # the launcher has been told, too
    assert "restored as instance" in launched.text
    assert not re.search(BOOTING, launched.text, re.MULTILINE), launched.text
    return url


def ask(
    url: str, path: str = "/", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Send one request over a connection of its own."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def clone_of(launcher: int) -> int:
    """Return the process id of the clone whose launcher is the process *launcher*."""
    (clone,) = children(launcher)
    return clone


def retold(
    snapshot: Path, directory: Path, change: Callable[[dict[str, Any]], None] = lambda _: None
) -> Path:
    """Make *directory* a copy of a snapshot, whose manifest is as *change* leaves it."""
    directory.mkdir(mode=0o700)
    for file in snapshot.iterdir():
        if file.name != manifest.NAME:
            (directory / file.name).hardlink_to(file)
    content = json.loads((snapshot / manifest.NAME).read_text())
    del content["sum"]
    change(content)
    content["sum"] = manifest._sum(content)
    (directory / manifest.NAME).write_text(json.dumps(content))
    return directory


def for_criu(snapshot: Path, directory: Path, program: Path) -> Path:
    """Make *directory* a copy of a snapshot that says it was made by *program*."""

    def change(content: dict[str, Any]) -> None:
        content["facts"]["criu"] = facts(str(program))["criu"]

    return retold(snapshot, directory, change)


def program(path: Path, *lines: str) -> Path:
    """Write a shell script that can be run."""
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


def children(process: int) -> list[int]:
    """Return the children of a process, whichever of its threads started them."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(number) for task in tasks for number in task.read_text().split()]


def exists(process: int) -> bool:
    """Whether the process is alive, or has not been waited for."""
    return Path(f"/proc/{process}").exists()


def running(mark: str) -> list[str]:
    """Return the command lines and environments of live processes that name *mark*."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if mark.encode() in told:
            found.append(f"{entry.name}: {told[:200]!r}")
    return found


def probabilities(answer: bytes) -> bytes:
    """Return an answer's predictions as they were written, without what takes time."""
    found = re.search(rb'"predictions":\[.*?\],"model"', answer)
    assert found, answer
    return found[0]
