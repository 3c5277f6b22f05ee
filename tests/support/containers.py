"""Containers for tests: podman, over this machine's own files, so that no image has to be built."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).parents[2]

# crun refuses a machine that mounts both hierarchies of cgroups; this process sees the first alone.
_ONE_HIERARCHY = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
_SECONDS = 60
_ENOUGH = 4096  # open files, and processes


@dataclass(frozen=True)
class Podman:
    """A podman whose state lies in a folder of the test's."""

    state: Path

    def run(
        self,
        *command: str,
        capabilities: Iterable[str],
        confined: bool = True,
        volumes: Iterable[Path] = (),
        environ: Iterable[str] = (),
    ) -> tuple[str, ...]:
        """Return the command line of a container in this machine's network, over its files.

        What is written outside *volumes* is gone with the container. *confined*: with the
        profile for seccomp that podman has by default.
        """
        # Each may lie on a file system of its own.
        ours = {ROOT, Path(sys.prefix), Path(sys.base_prefix)} - {Path("/usr")}
        return (
            *("unshare", "--mount", "sh", "-c", _ONE_HIERARCHY, "sh", "podman"),
            f"--root={self.state / 'root'}",
            f"--runroot={self.state / 'run'}",
            *("--cgroup-manager=cgroupfs", "--events-backend=file"),
            *("run", "--rm", "--network=host", "--cgroups=disabled", "--tmpfs=/run"),
            *_limits(),
            "--cap-drop=all",
            *(f"--cap-add={name}" for name in capabilities),
            *(() if confined else ("--security-opt=seccomp=unconfined",)),
            *(f"--volume={path}:{path}:O" for path in ours),
            *(f"--volume={path}:{path}" for path in volumes),
            *(f"--env={setting}" for setting in environ),
            f"--workdir={ROOT}",
            *("--rootfs", "/:O"),
            *command,
        )


def usable_podman(state: Path) -> Podman:
    """Return a podman that runs a container here; skip the test where there is none."""
    if os.geteuid() != 0:
        pytest.skip("containers that make snapshots take root")
    if which("podman") is None:
        pytest.skip("podman is not installed: apt-get install --no-install-recommends podman crun")
    podman = Podman(state)
    done = subprocess.run(
        podman.run("true", capabilities=()),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode != 0:
        pytest.skip(f"podman runs no container here: {done.stderr.strip()}")
    return podman


def _limits() -> Iterable[str]:
    """Yield limits that need not be raised: that takes a capability which root may lack."""
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        _, most = resource.getrlimit(number)
        enough = _ENOUGH if most == resource.RLIM_INFINITY else min(_ENOUGH, most)
        yield f"--ulimit={name}={enough}:{enough}"
