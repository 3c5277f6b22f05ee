import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from rookery.errors import Misconfigured
from rookery.local.state import LocalState, claimed, read_state

STATE = LocalState(
    pid=os.getpid(),
    bucket="images",
    storage_url="http://127.0.0.1:9000",
    broker_url="http://127.0.0.1:8081",
    function_urls={"classify": "http://127.0.0.1:8080"},
)
DOCUMENT = asdict(STATE)


def test_what_is_announced_is_read_back(tmp_path):
    with claimed(tmp_path) as announce:
        announce(STATE)
        assert read_state(tmp_path) == STATE


def test_a_home_that_is_not_there_is_made(tmp_path):
    with claimed(tmp_path / "new" / "home") as announce:
        announce(STATE)
        assert read_state(tmp_path / "new" / "home") == STATE


def test_only_what_is_announced_is_up(tmp_path):
    with claimed(tmp_path):
        assert read_state(tmp_path) is None


def test_nothing_is_up_where_nobody_ever_was(tmp_path):
    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "nowhere") is None


def test_leaving_takes_the_announcement_back(tmp_path):
    with claimed(tmp_path) as announce:
        announce(STATE)
    assert read_state(tmp_path) is None
    assert not (tmp_path / "up.json").exists()


def test_a_home_is_held_by_one_at_a_time(tmp_path):
    with (
        claimed(tmp_path),
        pytest.raises(Misconfigured, match="already up in"),
        claimed(tmp_path),
    ):
        pass


def test_what_a_killed_process_announced_does_not_count(tmp_path):
    program = (
        "import sys, time, pathlib; from rookery.local.state import LocalState, claimed\n"
        "with claimed(pathlib.Path(sys.argv[1])) as announce:\n"
        "    announce(LocalState(1, 'b', 's', 'b', {})); time.sleep(60)"
    )
    with subprocess.Popen((sys.executable, "-c", program, tmp_path)) as holder:
        deadline = time.monotonic() + 20
        while read_state(tmp_path) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert read_state(tmp_path) is not None
        holder.kill()

    assert (tmp_path / "up.json").exists()
    assert read_state(tmp_path) is None


def test_what_a_killed_process_announced_does_not_count_for_its_successor(tmp_path):
    (tmp_path / "up.json").write_text(json.dumps(DOCUMENT))
    with claimed(tmp_path):
        assert read_state(tmp_path) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"7", b"null", b"\xff", b"{}", json.dumps({**DOCUMENT, "more": 1})]
)
def test_an_announcement_that_cannot_be_read_is_named(tmp_path, text):
    with claimed(tmp_path):
        (tmp_path / "up.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(Misconfigured, match=r"up\.json cannot be used"):
            read_state(tmp_path)
