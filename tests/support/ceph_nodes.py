"""Real Ceph nodes for tests: each in a folder of its own, on free ports, always taken down."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rookery.storage.ceph.conf import Store
from rookery.storage.ceph.node import Told, Wanted, bring_up, take_down
from rookery.storage.ceph.packages import missing_packages
from rookery.storage.ceph.state import CephNode

GIBIBYTE = 1024**3
SILENT = Told(lambda *_: None, lambda _: None)


def require_ceph() -> None:
    """Skip the test where Ceph is not installed; fail in CI, where it is to be."""
    if missing := missing_packages():
        reason = f"Ceph is not installed: sudo apt-get install {' '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def running_node(home: Path, store: Store) -> Iterator[CephNode]:
    """Bring up a node below *home*; `rookery.storage.ceph.control` starts and stops its parts.

    A daemon of a `memstore` that is killed has lost its objects: faults need `bluestore`.
    """
    require_ceph()
    wanted = Wanted(port=0, store=store, store_bytes=2 * GIBIBYTE)
    try:
        yield bring_up(home, wanted, SILENT).node
    finally:
        take_down(home, delete=True, told=SILENT)
