import threading
import time
from pathlib import Path

import pytest

from rookery.errors import SnapshotFailed
from rookery.lifecycle.snapshot.protocol import Restored
from rookery.lifecycle.snapshot.sentinel import SentinelDriver

DEADLINE_SECONDS = 10


class Waiting:
    """A driver that waits in a thread of its own, and what came of it."""

    def __init__(self, directory: Path) -> None:
        self.result: Restored | BaseException | None = None
        self._driver = SentinelDriver(directory)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            self.result = self._driver.wait()
        except (SystemExit, SnapshotFailed) as exc:
            self.result = exc

    def end(self):
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive()
        return self.result


def wait_for(path: Path):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.005)


def test_a_clone_goes_on_in_the_environment_it_had(tmp_path):
    waiting = Waiting(tmp_path)
    wait_for(tmp_path / "ready-for-snapshot")
    (tmp_path / "restore-complete").touch()
    assert waiting.end() == Restored()


def test_the_source_ends_well_when_its_snapshot_is_made(tmp_path):
    waiting = Waiting(tmp_path)
    wait_for(tmp_path / "ready-for-snapshot")
    (tmp_path / "snapshot-complete").touch()
    ended = waiting.end()
    assert isinstance(ended, SystemExit)
    assert ended.code == 0


def test_what_an_earlier_life_left_is_not_believed(tmp_path):
    for stale in ("restore-complete", "snapshot-complete", "rookery-restore-ready"):
        (tmp_path / stale).touch()
    waiting = Waiting(tmp_path)
    wait_for(tmp_path / "ready-for-snapshot")
    left = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "restore-complete").touch()
    waiting.end()
    assert left == ["ready-for-snapshot"]


def test_a_clone_beside_its_source_is_a_clone(tmp_path, monkeypatch):
    # Both files are there by the time it looks.
    driver = SentinelDriver(tmp_path)
    write = driver._write

    def agent(name):
        write(name)
        (tmp_path / "snapshot-complete").touch()
        (tmp_path / "restore-complete").touch()

    monkeypatch.setattr(driver, "_write", agent)
    assert driver.wait() == Restored()


def test_only_the_finished_file_has_the_name(tmp_path, monkeypatch):
    seen = []
    replace = Path.replace

    def watched(self, target):
        seen.append((target.exists(), self.read_text()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    SentinelDriver(tmp_path).report(None)
    assert seen == [(False, "done\n")]


def test_a_clone_that_serves_says_so(tmp_path):
    SentinelDriver(tmp_path).report(None)
    assert [path.name for path in tmp_path.iterdir()] == ["rookery-restore-ready"]


def test_a_clone_that_cannot_serve_writes_nothing(tmp_path):
    SentinelDriver(tmp_path).report("HookFailed: no vault")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(SnapshotFailed, match=r"gone.*SNAPSHOT_CONTROL_DIR"):
        SentinelDriver(tmp_path / "gone").wait()


def test_a_directory_that_is_none_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SnapshotFailed, match="file"):
        SentinelDriver(tmp_path / "file").wait()


def test_a_sentinel_that_cannot_be_written_is_reported(tmp_path):
    # A directory in its place refuses everybody, root included.
    (tmp_path / "ready-for-snapshot" / "inside").mkdir(parents=True)
    with pytest.raises(SnapshotFailed, match="cannot be used"):
        SentinelDriver(tmp_path).wait()


def test_making_one_touches_nothing(tmp_path):
    SentinelDriver(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
