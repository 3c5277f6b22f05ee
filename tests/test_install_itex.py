import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "install-itex"
TOOLS = ("bash", "dirname", "env", "grep", "id", "realpath")

# In the place of the environment's Python: notes what it is told, and what it is to install.
NOTES = """#!/bin/sh
echo "$*" >>{told}
for argument in "$@"; do
  case $argument in /dev/fd/*) cat "$argument" >>{told} ;; esac
done
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def install(tmp_path):
    def install(*arguments, **environ):
        return subprocess.run(
            (SCRIPT, *arguments),
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "ROOKERY_HOME": str(tmp_path), **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return install


@pytest.fixture
def tools(tmp_path):
    """A folder of programs that is the whole PATH: an x86-64 with Python 3.12 and no apt."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    program(folder / "uname", "#!/bin/sh\necho x86_64\n")
    program(folder / "dpkg-query", "#!/bin/sh\nexit 1\n")
    program(folder / "python3", '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.12.1\n')
    return folder


@pytest.fixture
def told(tmp_path):
    """What the environment was told; one is there already, which only takes notes."""
    if shutil.which("python3.11", path="/usr/local/bin:/usr/bin:/bin") is None:
        pytest.skip("it takes a Python 3.11 on the PATH")
    notes = tmp_path / "told"
    for folder in ("itex", "copy"):
        program(tmp_path / folder / "bin" / "python", NOTES.format(told=notes))
    return notes


@pytest.mark.parametrize("arguments", [["--to"], ["--from", "x"], ["x"]])
def test_what_it_does_not_know_is_answered_with_its_usage(arguments, install):
    done = install(*arguments)
    assert (done.returncode, done.stderr[:27]) == (2, "Usage: scripts/install-itex")


def test_a_machine_of_another_kind_is_refused(install, tools):
    program(tools / "uname", "#!/bin/sh\necho aarch64\n")
    done = install(PATH=str(tools))
    assert done.returncode == 69
    assert "Intel's extension is made for x86-64; this machine is aarch64" in done.stderr


def test_a_machine_without_python_3_11_is_told_so(install, tools):
    done = install(PATH=str(tools))
    assert done.returncode == 69
    assert "Python 3.11 is needed" in done.stderr
    assert "Python 3.12.1 is here" in done.stderr


def test_the_extra_replaces_what_rookery_asks_for(install, told):
    assert install().returncode == 0
    lines = told.read_text().splitlines()
    of = {name: [line for line in lines if line.startswith(name)] for name in ("numpy", "tensorf")}
    assert of == {"numpy": ["numpy>=1.26,<2"], "tensorf": ["tensorflow-cpu==2.15.1"]}
    assert any(line.startswith("flask>=") for line in lines)


def test_the_extension_and_rookery_are_installed_without_what_they_ask_for(install, told):
    install()
    bare = told.read_text().rpartition("--no-deps --requirement")[2]
    assert "\nintel-extension-for-tensorflow==2.15.0.0\n" in bare
    assert "--no-deps --editable .\n" in bare


def test_a_second_time_it_has_nothing_to_do(install, told):
    install()
    before = told.read_text()
    assert install().returncode == 0
    assert told.read_text() == before


@pytest.mark.usefixtures("told")
def test_a_folder_with_something_else_in_it_is_left_alone(install, tmp_path):
    photo = tmp_path / "photos" / "birds.jpg"
    photo.parent.mkdir()
    photo.touch()
    done = install("--to", str(photo.parent))
    assert done.returncode == 1
    assert f"{photo.parent} is no environment of ours; name a new folder" in done.stderr
    assert photo.exists()


def test_for_an_image_rookery_is_copied_every_time(install, told, tmp_path):
    install("--to", str(tmp_path / "copy"))
    before = told.read_text()
    install("--to", str(tmp_path / "copy"))
    assert "--no-deps .\n" in told.read_text()[len(before) :]
