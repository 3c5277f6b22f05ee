from pathlib import Path

import pytest

from rookery.errors import CephMissing, StartFailed
from rookery.storage.ceph.tools import environment, first_bytes, last_words, plain


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", ""),
        ("one\n\n", "one"),
        ("1\n2\n3\n4\n", "2; 3; 4"),
        ("2026-11-21T14:43:06.194+0000 7f35654711c0 -1 auth: no keyring\n", "auth: no keyring"),
    ],
)
def test_last_words_are_what_was_said(said, words):
    assert last_words(said) == words


def test_a_failing_program_is_quoted():
    with pytest.raises(StartFailed, match=r"^sh failed: the reason$"):
        plain("sh", "-c", "echo the reason >&2; exit 3")


def test_a_silent_failure_has_its_status():
    with pytest.raises(StartFailed, match="exit status 3"):
        plain("sh", "-c", "exit 3")


def test_a_program_that_hangs_is_ended():
    with pytest.raises(StartFailed, match="took longer than 0 s"):
        plain("sleep", "60", seconds=0.1)


def test_a_missing_program_is_named():
    with pytest.raises(CephMissing, match="no-such-program"):
        plain("no-such-program")
    with pytest.raises(CephMissing, match="no-such-program"):
        first_bytes(Path("/"), 1, "no-such-program")


def test_only_the_first_bytes_are_waited_for(tmp_path):
    program = tmp_path / "endless"
    program.write_text("#!/bin/sh\nprintf 0123456789; exec sleep 60\n")
    program.chmod(0o755)
    assert first_bytes(tmp_path, 4, str(program)) == b"0123"


@pytest.mark.parametrize("name", ["CEPH_ARGS", "CEPH_CONF", "PYTHONPATH", "PYTHONHOME"])
def test_variables_that_mislead_ceph_are_left_out(monkeypatch, name):
    monkeypatch.setenv(name, "x")
    assert name not in environment()
    assert "PATH" in environment()
