"""`rookery ceph` in a home of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from ceph_nodes import SILENT, require_ceph
from rookery.storage.ceph.node import take_down
from rookery.storage.ceph.state import CephNode, read_node

_FOREIGN = re.compile(r"ROOKERY_|S3_|AWS_|CEPH_")


@dataclass(frozen=True)
class Command:
    """Runs `rookery ceph …` as a user would."""

    home: Path
    env: Mapping[str, str]

    def __call__(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            (sys.executable, "-m", "rookery", "ceph", *arguments),
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def node(self) -> CephNode:
        node = read_node(self.home)
        assert node is not None
        return node


@pytest.fixture
def ceph_command(tmp_path: Path) -> Iterator[Command]:
    """A home without a node; what is made there is taken down again."""
    with command_in(tmp_path / "home") as command:
        yield command


@pytest.fixture(scope="module")
def shared_command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """A node that is up, for every test of a module that only looks at it."""
    require_ceph()
    with command_in(tmp_path_factory.mktemp("shared") / "home") as command:
        done = command("up", "--memory", "--port=0")
        assert done.returncode == 0, done.stderr
        yield command


@contextmanager
def command_in(home: Path) -> Iterator[Command]:
    env = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
    yield Command(home, {**env, "ROOKERY_HOME": str(home)})
    if home.exists():
        take_down(home, delete=True, told=SILENT)


@pytest.fixture
def real_command(ceph_command: Command) -> Command:
    """The same, where Ceph is installed."""
    require_ceph()
    return ceph_command


@pytest.fixture
def s3_of() -> Callable[[CephNode], object]:
    """Make boto3's client for a node."""
    return lambda node: boto3.client(
        "s3",
        endpoint_url=node.endpoint,
        region_name=node.region,
        aws_access_key_id=node.access_key,
        aws_secret_access_key=node.secret_key,
    )
