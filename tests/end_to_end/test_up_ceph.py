"""`rookery up --ceph`: an upload with the real aws command becomes a result."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ceph_nodes import running_node
from rookery.free_ports import free_ports
from rookery.storage.ceph import daemons
from rookery.storage.ceph.daemons import DAEMONS
from rookery.storage.ceph.exports import variables
from rookery.storage.ceph.state import CephNode
from whole_system import PHOTOGRAPH, System, home_with, running, wait_until

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return home_with(models, tmp_path_factory.mktemp("up-ceph"))


@pytest.fixture(scope="module")
def node(home: Path) -> Iterator[CephNode]:
    with running_node(home, "memstore") as made:
        yield made


@pytest.fixture(scope="module")
def receiver_port() -> int:
    return free_ports(1)[0]


@contextmanager
def up(home: Path, receiver_port: int) -> Iterator[System]:
    with (
        (home / "up.log").open("w+") as log,
        running(
            home, "--ceph", f"--receiver-port={receiver_port}", log=log, ROOKERY_BACKEND="fixed"
        ) as system,
    ):
        yield system


def upload(node: CephNode, key: str) -> None:
    subprocess.run(
        (BIN / "aws", "s3", "cp", "--quiet", PHOTOGRAPH, f"s3://images/{key}"),
        env={**os.environ, **variables(node, bucket="images")},
        check=True,
        timeout=60,
    )


def test_what_is_uploaded_has_a_result_whether_rookery_was_up_or_not(
    home: Path, node: CephNode, receiver_port: int
) -> None:
    with up(home, receiver_port) as system:
        before = system.head()
        upload(node, "photo.jpg")
        (result,) = system.results(1, after=before, seconds=60)
        assert (result.subject, result.type) == (
            "photo.jpg",
            "dev.rookery.inference.completed.v1",
        )

        put = subprocess.run(
            (sys.executable, "-m", "rookery", "put", "--timeout=60", "--prefix=put/", PHOTOGRAPH),
            env={**os.environ, "ROOKERY_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert put.returncode == 0, put.stderr
        assert node.secret_key not in (home / "up.json").read_text()

    wait_until(lambda: system.process.poll() is not None, 30, "the end of rookery up")
    assert all(daemons.is_running(node.folder, daemon) for daemon in DAEMONS)
    logs = "".join(file.read_text() for file in (*home.glob("logs/*"), home / "up.log"))
    assert node.secret_key not in logs

    upload(node, "while-down.jpg")
    with up(home, receiver_port) as system:

        def subjects() -> set[str | None]:
            return {event.subject for event in system.journal("dev.rookery.inference.completed")}

        wait_until(lambda: "while-down.jpg" in subjects(), 90, "the result of what was uploaded")
