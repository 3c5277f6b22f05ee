import os
import tempfile

import pytest

from rookery.errors import CriuMissing, SnapshotFailed
from rookery.snapshots import criu
from rookery.snapshots.trial import attempt


@pytest.fixture
def program():
    if os.geteuid() != 0:
        pytest.skip("CRIU needs root")
    try:
        return criu.find_in(os.environ)
    except CriuMissing as exc:
        pytest.skip(str(exc))


@pytest.mark.end_to_end
def test_a_snapshot_can_be_made_and_woken_here(program, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    attempt(program, on_line=print)
    assert [*tmp_path.iterdir()] == []


def test_a_criu_that_fails_is_a_failed_trial():
    with pytest.raises(SnapshotFailed):
        attempt("/bin/false", on_line=print)
