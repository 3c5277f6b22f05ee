import os
import signal
import tempfile

import pytest

from rookery.errors import SnapshotFailed
from rookery.snapshots.trial import attempt
from snapshot_processes import command, program


@pytest.mark.end_to_end
def test_a_snapshot_can_be_made_and_woken_here(criu, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    attempt(criu, on_line=print)
    assert [*tmp_path.iterdir()] == []


def test_a_check_that_is_stopped_during_its_trial_leaves_nothing(launch, tmp_path, wait_until):
    own = tmp_path / "own"
    own.mkdir()
    hangs = program(
        tmp_path / "criu",
        '[ "$1" != --version ] || { echo "Version: 4.1.1"; exit 0; }',
        '[ "$1" = dump ] || exit 0',
        f"touch '{tmp_path}/dumping'",
        "exec sleep 60",
    )
    environ = {**os.environ, "ROOKERY_CRIU": str(hangs), "TMPDIR": str(own)}
    with launch(command("snapshot", "check"), environ) as check:
        wait_until((tmp_path / "dumping").exists, "the trial")
        check.process.terminate()
        assert check.ends() == 128 + signal.SIGTERM
    assert [*own.iterdir()] == []


def test_a_criu_that_fails_is_a_failed_trial():
    with pytest.raises(SnapshotFailed):
        attempt("/bin/false", on_line=print)
