import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest

from rookery.errors import Misconfigured
from rookery.local.state import LocalState, clear_state, read_state, write_state

STATE = LocalState(
    pid=os.getpid(),
    bucket="images",
    storage_url="http://127.0.0.1:9000",
    broker_url="http://127.0.0.1:8081",
    function_urls={"classify": "http://127.0.0.1:8080"},
)
DOCUMENT = asdict(STATE)


def test_what_is_announced_is_read_back(tmp_path):
    write_state(tmp_path, STATE)
    assert read_state(tmp_path) == STATE


def test_a_home_that_is_not_there_is_made(tmp_path):
    write_state(tmp_path / "new" / "home", STATE)
    assert read_state(tmp_path / "new" / "home") == STATE


def test_nothing_else_is_left_in_the_home(tmp_path):
    write_state(tmp_path, STATE)
    write_state(tmp_path, STATE)
    assert [file.name for file in tmp_path.iterdir()] == ["up.json"]


def test_where_nothing_is_announced_nothing_is_up(tmp_path):
    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "nowhere") is None


def test_an_announcement_is_taken_back_and_that_twice_is_no_error(tmp_path):
    write_state(tmp_path, STATE)
    clear_state(tmp_path)
    clear_state(tmp_path)
    assert read_state(tmp_path) is None


def test_what_a_dead_process_announced_does_not_count(tmp_path):
    with subprocess.Popen((sys.executable, "-c", "")) as ended:
        ended.wait()
    write_state(tmp_path, LocalState(ended.pid, "b", "http://s", "http://b", {}))
    assert read_state(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"\xff",
        b"{}",
        b'{"pid": 1}',
        json.dumps({**DOCUMENT, "more": 1}).encode(),
        *(json.dumps({**DOCUMENT, "pid": pid}).encode() for pid in ("1", 0, -1, None, 1.5, 2**70)),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_to_be_removed(tmp_path, text):
    (tmp_path / "up.json").write_bytes(text)
    with pytest.raises(Misconfigured, match=r"up\.json cannot be used: .*; remove it"):
        read_state(tmp_path)
