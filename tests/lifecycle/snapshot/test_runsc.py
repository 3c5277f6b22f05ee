"""A real gVisor checkpoints and restores a process that waits at its snapshot point.

Debian's runsc is older than /proc/gvisor/checkpoint, so the checkpoint is asked for from outside
and the process is told through the sentinel files.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rookery

DEADLINE_SECONDS = 90
# No namespace, no cgroup of its own: what runs in it is ours.
RUNSC = ("runsc", "--network=none", "--platform=ptrace", "--ignore-cgroups")

DONOR = """
import os, random, ssl, sys
from pathlib import Path
from rookery.lifecycle import instance
from rookery.lifecycle.snapshot import renewal
from rookery.lifecycle.snapshot.choose import choose
from rookery.lifecycle.snapshot.point import snapshot_point

renewal.register()
random.seed(7), ssl.RAND_bytes(8), instance.current()
driver = choose("auto", os.environ)
snapshot_point(driver, secrets=("S3_SECRET_KEY",), hook_seconds=60)
answer = instance.current().id, random.random(), ssl.RAND_bytes(8).hex()
Path(os.environ["SNAPSHOT_CONTROL_DIR"], "answer").write_text(repr(answer))
driver.report(None)
"""


def wait_for(path: Path):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.02)


class Sandboxes:
    """Containers of one gVisor, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        (folder / "control").mkdir()
        (folder / "donor.py").write_text(DONOR)

    def start(self, name, command):
        """Start `runsc COMMAND` and return the directory that is the container's control."""
        control, bundle = self._folder / f"{name}-control", self._folder / f"{name}-bundle"
        control.mkdir()
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(self._specification(control)))
        self._names.append(name)
        log = (self._folder / f"{name}.log").open("wb")
        with log:
            self._processes.append(
                subprocess.Popen(
                    [*RUNSC, *self._state(), *command, f"--bundle={bundle}", name],
                    stdout=log,
                    stderr=log,
                )
            )
        return control

    def checkpoint(self, name):
        image = self._folder / "image"
        subprocess.run(
            [*RUNSC, *self._state(), "checkpoint", f"--image-path={image}", name],
            check=True,
            timeout=DEADLINE_SECONDS,
        )
        return image

    def close(self):
        for name in self._names:
            subprocess.run(
                [*RUNSC, *self._state(), "delete", "--force", name],
                check=False,
                capture_output=True,
                timeout=DEADLINE_SECONDS,
            )
        for process in self._processes:
            process.kill()
            process.wait()

    def _state(self):
        return (f"--root={self._folder / 'state'}",)

    def _specification(self, control):
        inside = str(self._folder / "control")
        source = str(Path(rookery.__file__).parents[1])
        return {
            "ociVersion": "1.0.0",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": [sys.executable, str(self._folder / "donor.py")],
                "env": [f"SNAPSHOT_CONTROL_DIR={inside}", f"PYTHONPATH={source}"],
                "cwd": "/",
            },
            "root": {"path": "/", "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {
                    "destination": inside,
                    "type": "bind",
                    "source": str(control),
                    "options": ["rbind", "rw"],
                },
            ],
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
        }


@pytest.fixture
def sandboxes(tmp_path):
    if shutil.which("runsc") is None:
        pytest.skip("runsc is not installed: apt-get install runsc")
    if os.geteuid() != 0:
        pytest.skip("runsc needs root here")
    probe = subprocess.run(
        [*RUNSC, f"--root={tmp_path}", "do", "/bin/true"],
        capture_output=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    if probe.returncode != 0:
        pytest.skip(f"runsc runs nothing here: {probe.stderr.decode(errors='replace')[-200:]}")
    made = Sandboxes(tmp_path)
    yield made
    made.close()


@pytest.mark.end_to_end
def test_two_clones_of_one_checkpoint_differ(sandboxes):
    source = sandboxes.start("source", ["run"])
    wait_for(source / "ready-for-snapshot")
    image = sandboxes.checkpoint("source")
    clones = [
        sandboxes.start(name, ["restore", f"--image-path={image}"]) for name in ("one", "other")
    ]
    for control in clones:
        (control / "restore-complete").touch()
    for control in clones:
        wait_for(control / "rookery-restore-ready")
    one, other = ((control / "answer").read_text() for control in clones)
    assert one != other
    assert not set(one.strip("()").split(", ")) & set(other.strip("()").split(", "))
