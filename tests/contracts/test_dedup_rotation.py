"""The password of a real Redis changes while a ledger uses it."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from rookery.credentials import secret
from rookery.dedup.redis import connect
from rookery.dedup.registry import WindowPlan, open_window
from rookery.errors import DedupUnavailable
from rookery.events.wire import CloudEvent

RESULT = CloudEvent(id="1", source="/s", type="t")


@pytest.fixture
def server(redis_url):
    """A client of the server that may do everything."""
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.acl_deluser("rookery")


@pytest.fixture
def change(server):
    """Give the user another password: change(password); who is logged in has to do so again."""

    def to(password):
        rules = ("on", "resetpass", f">{password}", "~*", "+@all")
        server.execute_command("ACL", "SETUSER", "rookery", *rules)
        server.execute_command("CLIENT", "KILL", "USER", "rookery", "SKIPME", "yes")

    return to


@pytest.fixture
def place(redis_url):
    return f"redis://rookery@{urlsplit(redis_url).netloc.rpartition('@')[2]}/0"


def test_a_new_password_in_the_file_is_taken_without_a_restart(
    change, place, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("before\n")
    change("before")
    ledger, _ = connect(place, ttl_seconds=60, password=secret(file, setting="X_FILE"))
    ledger.settle("rotated", b"result")

    change("after")
    with pytest.raises(DedupUnavailable, match="AuthenticationError") as raised:
        ledger.claim("rotated")
    assert "before" not in str(raised.value)

    file.write_text("after\n")
    assert ledger.claim("rotated") == b"result"
    ledger.close()


def test_a_window_logs_in_with_the_file(change, place, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from the file")
    change("from the file")
    skipped = []
    plan = WindowPlan(place, 60, 10, file)
    answers = []
    for _ in range(2):
        with open_window(plan, scope=str(tmp_path), on_skipped=lambda: skipped.append(1)) as window:
            answers.append(window.run("k", lambda: RESULT))

    assert [repeated for _, repeated in answers] == [False, True]
    assert skipped == []
