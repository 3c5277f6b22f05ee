import sys

import pytest

from rookery.dedup.leases import SharedWindow
from rookery.dedup.registry import WindowPlan, open_window, preload
from rookery.errors import DedupInvalid, SettingsInvalid
from rookery.events.dedup import DedupWindow


def opened(place, seconds=60):
    return open_window(WindowPlan(place, seconds, 10), scope="s", on_skipped=lambda: None)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("memory", DedupWindow),
        ("sqlite:{}/dedup.db", SharedWindow),
        ("redis://cache", SharedWindow),
        ("rediss://cache", SharedWindow),
    ],
)
def test_opens_the_window_at_a_place(tmp_path, place, kind):
    with opened(place.format(tmp_path)) as window:
        assert isinstance(window, kind)


@pytest.mark.parametrize("place", ["sqlite:/dev/null/dedup.db", "redis://cache"])
def test_with_no_time_to_remember_nothing_is_opened(place):
    with opened(place, 0) as window:
        assert isinstance(window, DedupWindow)


def test_a_store_that_cannot_be_opened_is_refused():
    with pytest.raises(DedupInvalid), opened("sqlite:/dev/null/dedup.db"):
        pass


def test_leaving_closes_the_store(tmp_path, made):
    with opened(f"sqlite:{tmp_path}/dedup.db") as window:
        window.run("k", made)
    assert [file.name for file in tmp_path.iterdir()] == ["dedup.db"]


def test_a_missing_library_is_told_before_any_snapshot(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    preload("memory")
    preload("sqlite:x")
    with pytest.raises(DedupInvalid):
        preload("redis://cache")


@pytest.mark.parametrize("place", ["memory", "sqlite:{}/dedup.db"])
def test_the_file_of_a_password_is_left_alone_where_there_is_no_redis(tmp_path, place):
    plan = WindowPlan(place.format(tmp_path), 60, 10, tmp_path / "nowhere")
    with open_window(plan, scope="s", on_skipped=lambda: None):
        pass


def test_the_file_of_a_password_that_cannot_be_read_is_refused(tmp_path):
    plan = WindowPlan("redis://cache", 60, 10, tmp_path / "nowhere")
    with (
        pytest.raises(SettingsInvalid, match="ROOKERY_DEDUP_PASSWORD_FILE"),
        open_window(plan, scope="s", on_skipped=lambda: None),
    ):
        pass
