"""`rookery snapshot create`: what it refuses, and that nothing is left of what failed."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from rookery.snapshots import manifest
from rookery.snapshots.leaks import leaked
from snapshot_processes import (
    BOOTING,
    LISTENING,
    TWIN,
    ask,
    awake,
    command,
    create,
    created,
    program,
    running,
)

_LATER, _FINAL = 69, 78  # sysexits(3)

_HEAD = """
import os, socket, subprocess, sys, ctypes
from pathlib import Path
from rookery.assemble import Function
function = Function("odd", folder=Path(__file__).parent)
"""

# What a function's module does when it is imported, how `create` ends, and what it says.
FUNCTIONS = {
    "socket": (
        "LISTENER = socket.create_server(('127.0.0.1', 0))",
        _FINAL,
        r"descriptor \d+: TCP socket that listens on 127\.0\.0\.1:\d+",
    ),
    "child": (
        "CHILD = subprocess.Popen(['sleep', '60'])",
        _FINAL,
        r"child process \d+: sleep 60",
    ),
    "inotify": (
        "WATCH = ctypes.CDLL(None).inotify_init()",
        _FINAL,
        r"descriptor \d+: inotify",
    ),
    "log file": (
        "LOG = open(Path(__file__).with_suffix('.log'), 'w')",
        _FINAL,
        r"descriptor \d+: /.*/odd\.log, open for writing",
    ),
    "secret": (
        "os.environ['S3_SECRET_KEY'] = 'planted-by-itself'",
        _FINAL,
        r"the environment variable S3_SECRET_KEY",
    ),
    "no import": ("import no_such_module", _FINAL, r"odd\.py cannot be imported: ModuleNotFound"),
    "end": ("sys.exit(3)", _LATER, r"the function ended with exit status 3 before"),
    "crash": ("os.abort()", _LATER, r"the function ended with exit status .* before"),
}


@pytest.fixture(scope="module")
def environment(environ, criu):
    return {**environ, "ROOKERY_CRIU": criu}


@pytest.fixture(scope="module")
def attempts(environment, tmp_path_factory):
    """How each function's snapshot ended; two at a time, because each takes seconds."""
    base = tmp_path_factory.mktemp("odd")

    def attempt(name):
        folder = base / name / "odd"
        folder.mkdir(parents=True)
        (folder / "func.yaml").write_text("name: odd\n")
        (folder / "odd.py").write_text(_HEAD + FUNCTIONS[name][0])
        done = create(folder, base / name / "snapshots" / "new", environment)
        return done, [path.name for path in (base / name).rglob("*new*")]

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(FUNCTIONS, pool.map(attempt, FUNCTIONS), strict=True))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_cannot_be_snapshotted_is_refused_with_the_reason(attempts, name):
    _, status, reason = FUNCTIONS[name]
    done, left = attempts[name]

    assert re.search(reason, done.stderr), done.stderr
    assert done.returncode == status, done.stderr
    assert left == []
    assert running(f"/{name}/odd") == []


# --- where it is written ----------------------------------------------------------------------


def contents(folder):
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_what_is_no_snapshot_is_not_replaced(environment, tmp_path):
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter").write_text("one")
    (precious / "manifest.json").write_text('{"name": "of a web app"}')
    before = contents(precious)

    done = create(TWIN, precious, environment)

    assert done.returncode == _FINAL
    assert "exists and is no snapshot" in done.stderr
    assert contents(precious) == before
    assert list(tmp_path.iterdir()) == [precious]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of sixteen megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder),
        check=False,
        capture_output=True,
    )
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(("umount", folder), check=True)


def test_a_snapshot_outlives_the_temporary_folder_it_was_made_with(
    launch, environment, tmp_path, jpeg
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    snapshot = created(TWIN, tmp_path / "snapshot", {**environment, "TMPDIR": str(temporary)})
    temporary.rmdir()

    with launch(command("serve", str(TWIN), "--snapshot", str(snapshot)), environment) as launched:
        assert ask(awake(launched), body=jpeg)[0] == 200


def test_a_full_disk_leaves_nothing_behind(environment, small_disk):
    done = create(TWIN, small_disk / "snapshot", environment)

    assert done.returncode == _LATER, done.stderr
    assert re.search(r"^rookery: .*", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_fills_up_at_the_end_leaves_nothing_behind(
    environment, criu, small_disk, tmp_path
):
    # The dump is put aside for it to fit, and the disk filled behind it.
    filling = program(
        tmp_path / "criu",
        f'"{criu}" "$@" || exit',
        '[ "$1" = dump ] || exit 0',
        f"dd if=/dev/zero of='{small_disk}/full' bs=1M 2>/dev/null; exit 0",
    )
    subprocess.run(("mount", "-o", "remount,size=90m", small_disk), check=True)

    done = create(TWIN, small_disk / "snapshot", {**environment, "ROOKERY_CRIU": str(filling)})

    assert done.returncode == _LATER, done.stderr
    assert [file.name for file in small_disk.iterdir()] == ["full"]


# --- an older snapshot, and what is in a new one ----------------------------------------------


@pytest.fixture(scope="module")
def with_secrets(environment, tmp_path_factory):
    """A snapshot that was made by somebody who has secrets, and one variable that is allowed."""
    folder = tmp_path_factory.mktemp("snapshots") / "twin"
    home = tmp_path_factory.mktemp("home")
    (home / ".aws").mkdir()
    for name, content in _AWS_FILES.items():
        (home / ".aws" / name).write_text(content)
    told = {**environment, **_SECRETS, "HOME": str(home), "PYTHON_MARKER": _MARKER}
    created(TWIN, folder, told)
    return folder


_AWS_FILES = {
    "config": "[profile work]\naws_session_token = planted-in-a-config\n",
    "credentials": "[default]\naws_secret_access_key = planted-in-a-file\n",
}
_MARKER = "marker-that-may-be-found"
_SECRETS = {
    "S3_ACCESS_KEY": "planted-access-key",
    "S3_SECRET_KEY": "planted/secret+key",
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "ROOKERY_SINK_TOKEN": "planted-sink-token",
    "ROOKERY_INGRESS_TOKEN": "planted-ingress-token",
    "ROOKERY_DEDUP": "redis://:planted-password@127.0.0.1/0",
    "UNKNOWN_TO_US": "planted-unknown-value",
}


def test_no_secret_of_whoever_makes_a_snapshot_is_in_its_files(with_secrets):
    wanted = {
        **_SECRETS,
        "the password alone": "planted-password",
        "a token of AWS's files": "planted-in-a-config",
        "a key of AWS's files": "planted-in-a-file",
        "allowed": _MARKER,
    }

    # What is allowed is found: the search can fail.
    assert leaked(with_secrets, wanted) == ("allowed",)


def test_a_snapshot_is_private(with_secrets):
    assert with_secrets.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in with_secrets.iterdir()} == {0o600}


def test_an_older_snapshot_is_replaced_beneath_a_clone_that_runs(
    launch, environment, with_secrets, jpeg
):
    older = json.loads((with_secrets / manifest.NAME).read_text())["made"]
    arguments = command("serve", str(TWIN), "--snapshot", str(with_secrets))
    with launch(arguments, environment) as old:
        url = awake(old)

        created(TWIN, with_secrets, environment)

        assert ask(url, body=jpeg)[0] == 200
        with launch(arguments, environment) as new:
            assert ask(awake(new), body=jpeg)[0] == 200
        assert ask(url, body=jpeg)[0] == 200
    assert json.loads((with_secrets / manifest.NAME).read_text())["made"] > older
    assert [path.name for path in with_secrets.parent.iterdir()] == [with_secrets.name]


def test_a_snapshot_that_cannot_be_made_leaves_the_older_one(environment, with_secrets):
    before = {file.name: file.stat().st_mtime_ns for file in with_secrets.iterdir()}

    done = create(TWIN, with_secrets, {**environment, "ROOKERY_MODEL": "dodo"})

    assert done.returncode == _FINAL
    assert "dodo" in done.stderr
    assert {file.name: file.stat().st_mtime_ns for file in with_secrets.iterdir()} == before


# --- what is not in it, but mapped -----------------------------------------------------------

_MAPPING = """
import numpy as np
DATA = np.memmap(Path(__file__).parents[1] / "table.bin", mode="r")
"""
_BIG = 3 << 20  # from 1 MB on, content is only read anew when a file was touched


@pytest.fixture
def mapping(environment, tmp_path):
    """A function that maps a file, the file, and a snapshot of them."""
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "func.yaml").write_text("name: odd\n")
    (folder / "odd.py").write_text(_HEAD + _MAPPING)
    table = tmp_path / "table.bin"
    table.write_bytes(bytes(_BIG))
    return folder, table, created(folder, tmp_path / "snapshot", environment)


def test_a_file_that_a_function_maps_is_as_it_was_or_the_function_boots(
    launch, environment, mapping
):
    folder, file, snapshot = mapping
    arguments = command("serve", str(folder), "--snapshot", str(snapshot))
    with launch(arguments, environment) as launched:
        awake(launched)

    before = file.stat()
    with file.open("r+b") as opened:
        opened.seek(_BIG // 2)
        opened.write(b"1")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    with launch(arguments, environment) as launched:
        launched.said(LISTENING)
        said = re.search(BOOTING, launched.text, re.MULTILINE)
        assert said, launched.text
        assert f"{file} has changed since the snapshot was made" in said[1]
