import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "install-criu"
APT = ("apt-get", "apt-cache", "dpkg-deb")
# All that the script needs of a machine before it asks apt for anything.
TOOLS = (
    "bash", "awk", "cat", "chmod", "dirname", "find", "flock", "grep", "head", "id", "ln", "mkdir",
    "mktemp", "mv", "realpath", "rm", "sed", "sort", "tail",
)  # fmt: skip


def program(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def tools(tmp_path):
    """A folder of programs that is the whole PATH; what is asked of apt stands in `asked`."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    # Other folders that the script looks in hold the machine's own.
    program(folder / "criu", "echo Version: 3.17.1")
    program(folder / "dpkg", "echo amd64")
    asked = tmp_path / "asked"
    for name in APT:
        program(folder / name, f'echo "{name} $*" >>{asked}', "echo E: no mirror >&2", "exit 100")
    return folder


@pytest.fixture
def install(home, tools, tmp_path):
    def install(*arguments, **environ):
        return subprocess.run(
            (SCRIPT, *arguments),
            env={"PATH": str(tools), "ROOKERY_HOME": str(home), "TMPDIR": str(tmp_path), **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return install


def everything(folder):
    return sorted((path, path.lstat().st_mtime_ns) for path in folder.rglob("*"))


@pytest.mark.parametrize("version", ["4.1", "4.1.1", "4.10", "5.0"])
def test_where_it_is_done_nothing_is_touched_and_apt_is_not_asked(install, home, tmp_path, version):
    program(home / "criu" / "bin" / "criu", f"echo Version: {version}")
    before = everything(home)
    done = install()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert everything(home) == before
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("old", ["echo Version: 4.0", "exit 1", "echo something else"])
def test_an_older_or_broken_one_is_not_taken_for_done(install, home, tmp_path, old):
    program(home / "criu" / "bin" / "criu", old)
    assert install().returncode == 1
    assert "apt-cache policy criu" in (tmp_path / "asked").read_text()


def test_a_criu_on_the_path_that_is_new_enough_is_linked_to(install, home, tools, tmp_path):
    program(tools / "criu", "echo Version: 4.2")
    done = install()
    assert done.returncode == 0, done.stderr
    assert (home / "criu" / "bin" / "criu").readlink() == tools / "criu"
    assert "version 4.2" in done.stderr
    assert not (tmp_path / "asked").exists()


def test_where_apt_cannot_be_used_it_says_so_and_what_to_do(install, home):
    done = install()
    assert done.returncode == 1
    assert "ROOKERY_CRIU=PATH" in done.stderr
    assert "by hand" in done.stderr
    assert [*home.rglob("*")] == []


def test_a_failed_attempt_leaves_the_older_one_where_it_was(install, home):
    program(home / "criu" / "bin" / "criu", "echo Version: 4.0")
    before = everything(home / "criu")
    install()
    assert everything(home / "criu") == before


def test_a_failed_attempt_leaves_nothing_behind(install, tmp_path):
    before = {*tmp_path.iterdir()}
    install()
    assert {path.name for path in {*tmp_path.iterdir()} - before} <= {"home", "asked"}


def test_without_apt_it_says_so(install, tools):
    for name in APT:
        (tools / name).unlink()
    done = install()
    assert done.returncode == 1
    assert "no apt-get" in done.stderr


def test_help_says_where_it_goes_and_what_it_takes(install, home):
    for flag in ("--help", "-h"):
        shown = install(flag)
        assert shown.returncode == 0
        assert shown.stdout.startswith("Usage: scripts/install-criu")
        assert str(home / "criu") in shown.stdout


def test_an_argument_it_does_not_know_is_a_usage_error(install):
    assert install("--fast").returncode == 2


def test_no_host_is_named_in_it():
    text = SCRIPT.read_text()
    assert "://" not in text
    assert not re.search(r"\b[\w-]+\.(debian|ubuntu|com|net|io|dev)\b", text)


def test_it_can_be_run():
    assert os.access(SCRIPT, os.X_OK)


@pytest.fixture
def installed():
    """The private copy that this checkout's own run of the script has made."""
    home = Path(os.environ.get("ROOKERY_HOME") or SCRIPT.parents[1] / ".rookery")
    start = home / "criu" / "bin" / "criu"
    if start.is_symlink() or not start.exists():
        pytest.skip("no private copy of CRIU is here: scripts/install-criu")
    return home / "criu"


def version(start, **options):
    return subprocess.run(
        (start, "--version"), capture_output=True, text=True, check=False, **options
    ).stdout


@pytest.fixture
def moved(installed, tmp_path):
    """A copy of the folder, in another place."""
    return shutil.copytree(installed, tmp_path / "moved", symlinks=True)


def test_the_copy_may_be_moved(moved):
    assert "Version: 4" in version(moved / "bin" / "criu")


def test_the_copy_may_be_started_by_links_to_links(moved, tmp_path):
    (tmp_path / "one").symlink_to(moved / "bin" / "criu")
    (tmp_path / "two").symlink_to("one")
    assert "Version: 4" in version(tmp_path / "two")


def test_the_copy_may_be_started_by_the_path(moved):
    assert "Version: 4" in version("criu", env={"PATH": f"{moved / 'bin'}:{os.defpath}"})
