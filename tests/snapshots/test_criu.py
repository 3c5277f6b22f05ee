import itertools
import os

import pytest

from rookery.errors import CriuMissing
from rookery.snapshots import criu


@pytest.fixture
def program():
    """Put an executable `criu` into a folder."""

    def put(folder, mode=0o755):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "criu").touch()
        (folder / "criu").chmod(mode)
        return str(folder / "criu")

    return put


# --- finding it ----------------------------------------------------------------------------


def test_the_one_that_is_set_is_taken(tmp_path, program):
    program(tmp_path / "home" / "criu" / "bin")
    mine = program(tmp_path / "mine")
    assert criu.find(mine, str(tmp_path / "home"), str(tmp_path)) == mine


@pytest.mark.parametrize("wrong", ["no/such/program", "folder", "folder/criu"])
def test_one_that_is_set_and_cannot_be_run_is_an_error(tmp_path, program, wrong):
    program(tmp_path / "folder", mode=0o644)
    setting = str(tmp_path / wrong)
    with pytest.raises(CriuMissing, match=f"ROOKERY_CRIU={setting} is no program"):
        criu.find(setting, str(tmp_path), program(tmp_path / "elsewhere"))


def test_a_path_that_is_set_does_not_depend_on_the_folder_it_is_used_in(
    tmp_path, program, monkeypatch
):
    mine = program(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert criu.find("criu", "home", "") == mine


def test_the_installed_one_comes_before_the_systems(tmp_path, program):
    system = program(tmp_path / "bin")
    path = f"{tmp_path / 'none'}:{tmp_path / 'bin'}"
    assert criu.find(None, str(tmp_path / "home"), path) == system
    installed = program(tmp_path / "home" / "criu" / "bin")
    assert criu.find(None, str(tmp_path / "home"), path) == installed
    assert criu.find("", str(tmp_path / "home"), path) == installed


def test_where_there_is_none_how_to_install_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(criu, "_is_program", lambda path: not path)
    with pytest.raises(CriuMissing, match="install it with: scripts/install-criu"):
        criu.find(None, str(tmp_path), os.defpath)


def test_an_environment_leads_to_it_as_the_settings_do(tmp_path, program, monkeypatch):
    monkeypatch.chdir(tmp_path)
    system, default = program(tmp_path / "bin"), program(tmp_path / ".rookery" / "criu" / "bin")
    home, mine = program(tmp_path / "home" / "criu" / "bin"), program(tmp_path / "mine")
    environ = {"PATH": str(tmp_path / "bin")}
    assert criu.find_in(environ) == default
    assert criu.find_in(environ | {"ROOKERY_HOME": "", "ROOKERY_CRIU": ""}) == default
    assert criu.find_in(environ | {"ROOKERY_HOME": str(tmp_path / "none")}) == system
    assert criu.find_in(environ | {"ROOKERY_HOME": str(tmp_path / "home")}) == home
    assert criu.find_in(environ | {"ROOKERY_CRIU": mine}) == mine


# --- its command lines ---------------------------------------------------------------------


def test_a_dump_ends_the_process():
    command = criu.dump_command("/opt/criu", 17, "/made")
    assert command[:2] == ["/opt/criu", "dump"]
    assert {"--tree=17", "--images-dir=/made"} <= set(command)
    assert "--leave-running" not in command


@pytest.fixture
def restoring():
    """The command that restores a clone, with the descriptor of the mapped file."""

    def command(memory):
        return criu.restore_command(
            "/opt/criu",
            directory="/made",
            log=7,
            pipes={stream: f"pipe:[{number}]" for number, stream in enumerate(criu.STREAMS, 70)},
            streams={stream: number for number, stream in enumerate(criu.STREAMS, 1)},
            memory=memory,
        )

    return command


def inherited(command):
    return [after for flag, after in itertools.pairwise(command) if flag == "--inherit-fd"]


def test_a_restore_writes_only_into_the_log_that_it_is_given(restoring):
    command = restoring(None)
    # Where no file can be made it leaves none behind.
    assert {"--images-dir=/made", "--work-dir=/proc", "--log-file=/proc/self/fd/7"} <= {*command}
    assert not any(one.startswith("--pidfile") for one in command)


def test_a_clone_is_given_our_pipes_in_the_place_of_the_donors(restoring):
    assert inherited(restoring(None)) == [
        "fd[1]:pipe:[70]", "fd[2]:pipe:[71]", "fd[3]:pipe:[72]", "fd[4]:pipe:[73]"
    ]  # fmt: skip


def test_the_mapped_file_is_given_by_the_name_that_the_dump_knows_it_by(restoring):
    # CRIU wants a path without its slash here.
    assert inherited(restoring(9))[-1] == "fd[9]:rookery/memory"
    assert criu.MEMORY_PATH == "/rookery/memory"


# --- what its log says ---------------------------------------------------------------------


CAUSE = "(00.01) Error (criu/files.c:12): Can't open /x: No such file"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "CRIU gave no reason"),
        (["(00.01) Warn  (criu/x.c:1): never mind"], "CRIU gave no reason"),
        ([CAUSE + "\n"], "Can't open /x: No such file"),
        (["Error (util.c:1): Can't setup RLIMIT_NOFILE", CAUSE], "Can't open /x: No such file"),
        ([CAUSE, "(00.02) Error (criu/b.c:2): Restoring FAILED."], "Can't open /x: No such file"),
        (["Error (without a place"], "Error (without a place"),
    ],
)  # fmt: skip
def test_the_first_error_that_matters_is_the_reason(lines, reason):
    assert criu.first_error(lines) == reason
