"""Snapshots in containers: made by the first, woken by the next, with as little as it takes."""

import re

import pytest

from containers import usable_podman
from snapshot_processes import BOOTING, LISTENING, ROOT, ask, awake, command, probabilities

ENTRYPOINT = ROOT / "functions" / "entrypoint"
PHOTOGRAPH = ROOT / "functions" / "classify" / "data" / "test1.jpg"

# What docs/snapshots.md asks for; taking any of them away is tried below.
NEEDED = ("SYS_ADMIN", "NET_ADMIN", "SYS_CHROOT", "SYS_TIME", "SETPCAP")


@pytest.fixture(scope="module")
def podman(tmp_path_factory, criu):
    return usable_podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """A folder of this machine that outlives its containers."""
    return tmp_path_factory.mktemp("volume")


@pytest.fixture
def start(podman, volume, launch, environ, criu, fixed_home):
    """Start the entrypoint in a container of its own."""

    def run(capabilities=NEEDED, *options, confined=True, arguments=("classify",)):
        # Our own command, whatever this machine's PATH says.
        path = f"{ROOT / '.venv' / 'bin'}:{environ['PATH']}"
        settings = {name: value for name, value in environ.items() if name.startswith("ROOKERY_")}
        settings |= {"PORT": "0", "S3_ENABLED": "false", "ROOKERY_CRIU": criu}
        settings |= {"ROOKERY_SNAPSHOT_DIR": str(volume), "PATH": path}
        return launch(
            podman.run(
                str(ENTRYPOINT),
                *arguments,
                *options,
                capabilities=capabilities,
                confined=confined,
                volumes=(volume, fixed_home),
                environ=[f"{name}={value}" for name, value in settings.items()],
                workdir=ROOT,
            ),
            environ,
        )

    return run


@pytest.fixture
def made(start, volume):
    """The volume with the snapshot of a container that is gone."""
    with start(confined=False, arguments=("--make", "classify")) as container:
        assert container.ends() == 0, container.text
    (snapshot,) = volume.glob("classify-*")
    return snapshot
