import pytest

from rookery.errors import SettingsInvalid
from rookery.lifecycle.snapshot.choose import choose

PIPES = {"ROOKERY_SNAPSHOT_PIPES": "3,4"}
DIRECTORY = {"SNAPSHOT_CONTROL_DIR": "/control"}


@pytest.mark.parametrize(
    ("choice", "environ", "gvisor", "expected"),
    [
        ("auto", {}, False, "none"),
        ("auto", PIPES, False, "criu"),
        ("auto", DIRECTORY, False, "sentinel"),
        ("auto", {}, True, "gvisor"),
        ("auto", PIPES | DIRECTORY, True, "criu"),
        ("auto", DIRECTORY, True, "sentinel"),
        ("auto", {"SNAPSHOT_CONTROL_DIR": "", "ROOKERY_SNAPSHOT_PIPES": ""}, False, "none"),
        ("none", PIPES | DIRECTORY, True, "none"),
        ("criu", PIPES, False, "criu"),
        ("sentinel", {}, False, "sentinel"),
        ("sentinel", PIPES, False, "sentinel"),
        ("gvisor", PIPES | DIRECTORY, False, "gvisor"),
    ],
)
def test_a_driver_is_chosen(tmp_path, choice, environ, gvisor, expected):
    checkpoint = tmp_path / "checkpoint"
    if gvisor:
        checkpoint.touch()
    assert choose(choice, environ, gvisor_checkpoint=checkpoint).name == expected


def test_criu_where_nobody_makes_a_snapshot_serves_without(caplog):
    assert choose("criu", {}).name == "none"
    assert "`rookery snapshot create` makes them" in caplog.text


@pytest.mark.parametrize("pipes", ["3", "3,", ",4", "3;4", "a,b", "3,4,5", "-3,4"])
def test_criu_without_two_pipes_is_refused(pipes):
    with pytest.raises(SettingsInvalid, match="rookery snapshot create"):
        choose("criu", {"ROOKERY_SNAPSHOT_PIPES": pipes})


def test_the_control_directory_has_a_default():
    assert choose("sentinel", {})._directory.as_posix() == "/snapshot-control"


def test_the_control_directory_is_the_agents():
    assert choose("sentinel", DIRECTORY)._directory.as_posix() == "/control"
