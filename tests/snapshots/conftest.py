"""A stand-in for CRIU, and launchers in processes of their own: they take over signals."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rookery.snapshots import criu, manifest
from rookery.snapshots.facts import facts

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from conftest import Launch, Launched

BIG = 1 << 20  # of files from here on, the content is checked while CRIU restores

# What comes after is what becomes of the restore; `clone` starts the process that is "restored".
_CRIU = r"""#!{python} -IS
import ctypes, json, os, platform, re, signal, sys, time
assert sys.argv[1] == "restore"
options = dict(one[2:].partition("=")[::2] for one in sys.argv if one.startswith("--"))
given = dict(re.findall(r"fd\[(\d+)\]:(?:pipe:\[)?([\w/]+)", one)[0][::-1]
             for one in sys.argv if one.startswith("fd["))
control, status = int(given["control"]), int(given["status"])
scene = os.path.dirname(options["images-dir"])

def fail(*lines):
    open(options["log-file"], "w").write("\n".join(lines))
    sys.exit(1)

def clone(run):
    # As --restore-sibling has it, the clone is no child of ours, but of whoever started us.
    number = {{"x86_64": 56, "aarch64": 220}}[platform.machine()]
    process = ctypes.CDLL(None).syscall(number, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0)
    if process == 0:
        run()
        os._exit(99)

def told():
    message = b""
    while part := os.read(control, 65536):
        message += part
    open(os.path.join(scene, "told"), "wb").write(message)

def say(**line):
    os.write(status, json.dumps(line).encode() + b"\n")

def wait():
    while True:
        time.sleep(60)

"""

_LAUNCHER = """
import json, os, signal, sys
from rookery.errors import RookeryError
from rookery.snapshots import wake

def state():
    with open("/proc/thread-self/children") as children:
        running = children.read()
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD)
    handlers = [str(signal.getsignal(number)) for number in signals]
    descriptors = sorted(os.listdir("/proc/self/fd"))
    return {"children": running, "descriptors": descriptors, "handlers": handlers}

_, snapshot, program, wake._SECONDS = sys.argv[:3] + [int(sys.argv[3])]
wake._HOOK_SECONDS = 0
before = state()
try:
    ended = wake.wake(snapshot, ["classify", "--port=0"], program=program, environ={"A": "1"})
except RookeryError as exc:
    ended = f"{type(exc).__name__}: {exc}"
print(json.dumps({"ended": ended, "before": before, "after": state()}), flush=True)
"""


@dataclass(frozen=True)
class Scene:
    """A folder with a snapshot, a stand-in for CRIU, and a place for what they leave."""

    folder: Path
    program: Path
    launch: "Launch"
    launcher: str = _LAUNCHER
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def snapshot(self) -> Path:
        return self.folder / "snapshot"

    def start(self, *, seconds: int = 60) -> "AbstractContextManager[Launched]":
        return self.launch(self.command(seconds), self.whole_environ())

    def wake(self, *, seconds: int = 60, interrupted: bool = False, leaks: bool = False) -> object:
        """Wake it, and return a status or a message; nothing may be left over.

        *leaks*: but for descriptors.
        """
        done = subprocess.run(
            self.command(seconds),
            env=self.whole_environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return self.outcome(done.stdout, interrupted=interrupted, leaks=leaks)

    def outcome(self, said: str, *, interrupted: bool = False, leaks: bool = False) -> object:
        report = json.loads(said.splitlines()[-1])
        # A signal may come when a file has just been opened; the process ends by it anyhow, and
        # ignores others until it has.
        kept = report["before"].keys() - ({"descriptors", "handlers"} if interrupted else set())
        kept -= {"descriptors"} if leaks else set()
        left = {what for what in kept if report["after"][what] != report["before"][what]}
        assert left == set()
        assert list((self.folder / "tmp").iterdir()) == []
        return report["ended"]

    def told(self) -> dict[str, object] | None:
        """Return what the clone was told; None where it never went on."""
        path = self.folder / "told"
        return json.loads(path.read_text()) if path.exists() else None

    def command(self, seconds: int) -> tuple[str, ...]:
        return (
            sys.executable,
            "-c",
            self.launcher,
            str(self.snapshot),
            str(self.program),
            str(seconds),
        )

    def whole_environ(self) -> dict[str, str]:
        return os.environ | {"TMPDIR": str(self.folder / "tmp")} | self.environ


@pytest.fixture
def scene(tmp_path: Path, launch: "Launch") -> Callable[..., Scene]:
    """Make a snapshot of nothing, and a CRIU that does what some lines of Python say."""

    def make(*lines: str) -> Scene:
        program = tmp_path / "criu"
        program.write_text(_CRIU.format(python=sys.executable) + "\n".join(lines) + "\n")
        program.chmod(0o755)
        (tmp_path / "tmp").mkdir()
        made = Scene(tmp_path, program, launch)
        made.snapshot.mkdir()
        (made.snapshot / manifest.MEMORY).write_bytes(b"pages" + bytes(BIG))
        described = manifest.Manifest(
            function="classify",
            folder="/functions/classify",
            made="2026-11-21T12:00:00Z",
            facts=facts(str(program)),
            frozen={},
            pipes={stream: f"pipe:[{stream}]" for stream in criu.STREAMS},
            sizes={},
            files=manifest.sums(str(made.snapshot)),
        )
        manifest.write(str(made.snapshot), described)
        return made

    return make
