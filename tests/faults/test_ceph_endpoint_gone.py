"""Nothing listens where Ceph pushes to, for a minute: what was uploaded meanwhile still comes."""

import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ceph_nodes import running_node
from rookery.events.result import COMPLETED
from rookery.free_ports import free_ports
from rookery.storage.s3 import connect
from whole_system import PHOTOGRAPH, System, running, wait_until

UPLOADS = 20
PATIENCE = 150.0


@pytest.mark.end_to_end
@pytest.mark.timeout(400)
def test_what_is_uploaded_while_nothing_is_up_has_its_results_after_the_next_start(
    fixed_home: Path, tmp_path: Path
) -> None:
    home, photograph = tmp_path, PHOTOGRAPH.read_bytes()
    (home / "models").symlink_to(fixed_home / "models")
    keys = [f"nobody-listens/{number}.jpg" for number in range(UPLOADS)]
    # Kept over both starts, as Ceph does: a queued event goes where it was to go.
    (port,) = free_ports(1)

    with running_node(home, "bluestore") as node, (home / "up.log").open("w+") as log:

        def up() -> AbstractContextManager[System]:
            return running(
                home, "--ceph", f"--receiver-port={port}", log=log,
                ROOKERY_MODEL="penguins", ROOKERY_BACKEND="fixed",
            )  # fmt: skip

        with up() as system:
            bucket = system.state.bucket
        store = connect(
            endpoint=node.endpoint,
            region=node.region,
            access_key=node.access_key,
            secret_key=node.secret_key,
        )
        for key in keys:
            store.write(bucket, key, photograph, content_type="image/jpeg")
        threading.Event().wait(60)  # the fault itself: every push is refused a connection
        with up() as system:
            wait_until(lambda: len(system.journal(COMPLETED)) >= UPLOADS, PATIENCE, "every result")
            results = system.journal("dev.rookery.")

    assert sorted(event.subject or "" for event in results) == sorted(keys)
    assert {event.type for event in results} == {COMPLETED}
