"""`rookery snapshot bench`: what it asks for, and how it shows what was measured."""

import json
import re

import pytest
from click.testing import CliRunner

from rookery.cli.root import root
from rookery.errors import SnapshotInvalid
from rookery.snapshots import manifest, stopwatch
from rookery.snapshots.stopwatch import Start


@pytest.fixture
def snapshot(tmp_path):
    manifest.write(
        str(tmp_path),
        manifest.Manifest(
            function="classify",
            folder="/functions/classify",
            made="2026-11-21T10:00:00Z",
            facts={},
            frozen={"ROOKERY_BACKEND": "fixed", "ROOKERY_THREADS": "", "model": "penguins/1 (01)"},
            pipes={},
            sizes={},
            files={},
        ),
    )
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """What was to be measured; the first start takes longest, as it does."""
    asked = []

    def time_start(command, environ, image):
        assert image
        asked.append((command, environ))
        seconds = 9.0 if len(asked) == 1 else 0.1 * len(asked)
        steps = {"read": 2.0, "took": 4.0} if "--snapshot" in command else {}
        return Start(seconds, seconds + 1, 0.01, b"", 1000, 50_000_000, 30_000_000, steps)

    monkeypatch.setattr(stopwatch, "time_start", time_start)
    return asked


def bench(*arguments):
    return CliRunner().invoke(root, ["snapshot", "bench", *map(str, arguments)])


def test_the_snapshot_is_woken_so_often_and_its_function_booted_once(snapshot, asked):
    done = bench(snapshot, "--runs", 3)

    assert done.exit_code == 0, done.output
    woken = ["--snapshot" in command for command, _ in asked]
    assert woken == [True] * 4 + [False], "one more that is not counted, and the boot"
    for command, environ in asked:
        assert "/functions/classify" in command
        assert environ["ROOKERY_BACKEND"] == "fixed"
        assert environ["ROOKERY_MODEL"] == "penguins/1"
        assert "ROOKERY_THREADS" not in environ
        assert environ["PORT"] == "0"


def test_medians_are_printed_as_one_document(snapshot, asked):
    done = bench(snapshot, "--runs", 3, "--json")

    assert len(asked) == 5
    assert json.loads(done.stdout) == {
        "runs": 3,
        "woken": {
            "bound_ms": 300.0,
            "answered_ms": 1300.0,
            "again_ms": 10.0,
            "faults": 1000,
            "rss_mb": 50.0,
            "pss_mb": 30.0,
            "read_ms": 2.0,
            "took_ms": 4.0,
        },
        "booted": {
            "bound_ms": 500.0,
            "answered_ms": 1500.0,
            "again_ms": 10.0,
            "faults": 1000,
            "rss_mb": 50.0,
            "pss_mb": 30.0,
        },
    }


def test_medians_are_printed_beside_each_other(snapshot, asked):
    done = bench(snapshot, "--runs", 3)

    assert len(asked) == 5
    assert re.search(r"^until the first answer +1300 ms +1500 ms$", done.stdout, re.MULTILINE)
    assert re.search(r"^  hooks +4 ms *$", done.stdout, re.MULTILINE)


def test_what_is_no_snapshot_is_refused(tmp_path):
    done = bench(tmp_path)

    assert isinstance(done.exception, SnapshotInvalid)
