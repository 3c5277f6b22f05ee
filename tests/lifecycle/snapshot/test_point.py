import logging
import os
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from snapshot_restore_py import register_after_restore, register_before_snapshot

from rookery.errors import HookFailed, SnapshotFailed, SnapshotUnsafe
from rookery.lifecycle.snapshot import point
from rookery.lifecycle.snapshot.none import NoSnapshots
from rookery.lifecycle.snapshot.point import snapshot_point
from rookery.lifecycle.snapshot.protocol import Restored

pytestmark = pytest.mark.usefixtures("no_hooks")


STATE = (4096, 8192)


@dataclass
class ScriptedDriver:
    """Takes no snapshot, and restores with what the test says."""

    answer: Restored | Exception | None = None
    steps: list[str] = field(default_factory=list)
    name: str = "scripted"
    descriptors: tuple[int, ...] = (3, 4)

    def wait(self) -> Restored | None:
        self.steps.append("wait")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def report(self, refusal: str | None) -> None:
        self.steps.append(f"report {refusal}")


@pytest.fixture
def driver(monkeypatch):
    """A driver, with the steps around it written down and nothing of pytest's looked at."""
    scripted = ScriptedDriver(answer=Restored())
    monkeypatch.setattr(point, "shrink", lambda: scripted.steps.append("shrink"))
    monkeypatch.setattr(point, "refuse_offenders", lambda *_: scripted.steps.append("check"))

    def forget():
        scripted.steps.append("forget")
        return [STATE]

    monkeypatch.setattr(point, "forget", forget)
    monkeypatch.setattr(point, "renew", lambda areas: scripted.steps.append(f"renew {areas}"))
    monkeypatch.setattr(
        point,
        "map_large_blocks",
        lambda environ: scripted.steps.append(f"map {environ.get('BOTH')}"),
    )
    return scripted


@pytest.fixture
def place(tmp_path):
    """The environment, working directory and time zone of this process, put back afterwards."""
    environ, directory = dict(os.environ), Path.cwd()
    yield tmp_path
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(directory)
    time.tzset()


def pass_point(driver, **changes):
    return snapshot_point(driver, **({"secrets": (), "hook_seconds": 10} | changes))


def test_steps_come_in_their_order(driver):
    register_before_snapshot(driver.steps.append, "before")
    register_after_restore(driver.steps.append, "after")
    pass_point(driver)
    assert driver.steps == [
        "before", "shrink", "check", "forget", "wait", f"renew [{STATE}]", "map None", "after",
    ]  # fmt: skip


def test_nothing_is_logged_between_forgetting_and_the_snapshot(driver, monkeypatch):
    logged = lambda *_: driver.steps.append("log")  # noqa: E731
    monkeypatch.setattr(point._log, "info", logged)
    pass_point(driver)
    assert driver.steps[2:5] == ["log", "forget", "wait"]


def test_a_process_that_goes_on_maps_large_blocks_as_before(driver):
    driver.answer = None
    pass_point(driver)
    assert driver.steps[-2:] == ["wait", f"renew [{STATE}]"]


def test_what_the_driver_was_told_is_returned(driver):
    driver.answer = Restored(arguments=("serve", "classify"))
    assert pass_point(driver) == driver.answer


def test_without_snapshots_nothing_happens(driver):
    register_before_snapshot(driver.steps.append, "before")
    register_after_restore(driver.steps.append, "after")
    assert pass_point(NoSnapshots()) is None
    assert driver.steps == []


def test_a_process_that_goes_on_undoes_what_the_before_hooks_did(driver):
    driver.answer = None
    register_after_restore(driver.steps.append, "after")
    assert pass_point(driver) is None
    assert driver.steps[-1] == "after"


def test_a_failed_before_hook_ends_it_before_the_snapshot(driver):
    register_before_snapshot(int, "no number")
    with pytest.raises(HookFailed):
        pass_point(driver)
    assert driver.steps == []


def test_an_offender_ends_it_before_the_snapshot(driver, monkeypatch):
    def refuse(secrets, given):
        raise SnapshotUnsafe([f"{name} beside {given}" for name in secrets])

    monkeypatch.setattr(point, "refuse_offenders", refuse)
    with pytest.raises(SnapshotUnsafe, match=r"S3_SECRET_KEY beside \(3, 4\)"):
        pass_point(driver, secrets=("S3_SECRET_KEY",))
    assert driver.steps == ["shrink"]


def test_a_failed_snapshot_runs_no_after_hook(driver):
    driver.answer = SnapshotFailed("disk full")
    register_after_restore(driver.steps.append, "after")
    with pytest.raises(SnapshotFailed):
        pass_point(driver)
    assert "after" not in driver.steps


def test_a_failed_after_hook_is_reported(driver):
    register_after_restore(int, "no number")
    with pytest.raises(HookFailed, match="after the restore"):
        pass_point(driver)


def test_hooks_have_the_seconds_they_are_given(driver):
    register_after_restore(time.sleep, 60)
    with pytest.raises(HookFailed, match=r"0\.01 s"):
        pass_point(driver, hook_seconds=0.01)


@pytest.mark.usefixtures("place")
def test_a_restored_process_has_the_environment_it_is_told(driver):
    os.environ["ONLY_THEN"] = "then"
    driver.answer = Restored(environ={"ONLY_NOW": "now", "BOTH": "new"})
    same = os.environ
    pass_point(driver)
    assert dict(same) == {"ONLY_NOW": "now", "BOTH": "new"}


@pytest.mark.usefixtures("place")
def test_how_to_map_large_blocks_is_read_from_the_old_environment(driver):
    os.environ["BOTH"] = "old"
    driver.answer = Restored(environ={"BOTH": "new"})
    pass_point(driver)
    assert driver.steps[-1] == "map old"


@pytest.mark.usefixtures("place")
def test_hooks_see_the_new_environment(driver):
    seen = []
    driver.answer = Restored(environ={"S3_SECRET_KEY": "fresh"})
    register_after_restore(lambda: seen.append(os.environ.get("S3_SECRET_KEY")))
    pass_point(driver)
    assert seen == ["fresh"]


@pytest.mark.usefixtures("place")
def test_a_restored_process_keeps_its_environment_where_it_is_told_none(driver):
    os.environ["KEPT"] = "yes"
    pass_point(driver)
    assert os.environ["KEPT"] == "yes"


def test_a_restored_process_works_in_the_directory_it_is_told(driver, place):
    driver.answer = Restored(directory=str(place))
    pass_point(driver)
    assert Path.cwd() == place


def test_a_directory_that_is_not_there_is_only_a_warning(driver, place, caplog):
    directory = Path.cwd()
    driver.answer = Restored(directory=str(place / "gone"))
    with caplog.at_level(logging.WARNING):
        pass_point(driver)
    assert Path.cwd() == directory
    assert "gone" in caplog.text


@pytest.mark.usefixtures("place")
def test_a_restored_process_has_the_time_zone_it_is_told(driver):
    driver.answer = Restored(environ={"TZ": "Etc/GMT-5"})
    pass_point(driver)
    assert datetime.fromtimestamp(0).hour == 5  # noqa: DTZ006 - the local zone is the point


def test_the_log_names_the_new_instance(driver, caplog):
    with caplog.at_level(logging.INFO):
        pass_point(driver)
    assert point.current().id in caplog.text
