import subprocess
import sys

import pytest

from rookery.errors import CephInvalid, Unavailable
from rookery.storage.ceph.locking import locked


def test_a_home_is_held_by_one_at_a_time(tmp_path):
    told = []
    with (
        locked(tmp_path, on_wait=lambda: told.append("first")),
        pytest.raises(Unavailable, match=r"ceph\.lock"),
        locked(tmp_path, on_wait=lambda: told.append("second"), wait_seconds=0.2),
    ):
        pass
    assert told == ["second"]


def test_a_home_that_was_let_go_can_be_held_again(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "new", on_wait=lambda: pytest.fail("nobody holds it")):
            pass


def test_a_killed_holder_lets_go(tmp_path):
    program = (
        "import sys, time, pathlib; from rookery.storage.ceph.locking import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), on_wait=print):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        (sys.executable, "-c", program, tmp_path), stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
        with locked(tmp_path, on_wait=lambda: None, wait_seconds=20):
            pass


def test_a_home_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(CephInvalid, match="set ROOKERY_HOME"),
        locked(tmp_path / "file", on_wait=lambda: None),
    ):
        pass
