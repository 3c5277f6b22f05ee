"""What a container runs: whether it makes, wakes or does without a snapshot."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from rookery.frozen import _COMPUTING_PREFIXES, _FIXED

ENTRYPOINT = Path(__file__).parents[2] / "functions" / "entrypoint"

# Tells what it was asked to do, and makes a snapshot unless the environment says that it cannot.
ROOKERY = """#!/bin/sh
echo "$*" >> "$TOLD"
[ "$1" = snapshot ] || exit 0
if [ -n "${SLOW:-}" ]; then
  trap 'echo stopped >> "$TOLD"; exit 143' TERM
  for second in 1 2 3 4 5 6 7 8 9 10; do for tenth in 0 1 2 3 4 5 6 7 8 9; do sleep 0.1; done; done
fi
echo making it
[ -z "${FAILS:-}" ] || exit 69
mkdir "$5" && touch "$5/manifest.json"
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "volume" / "snapshots"


@pytest.fixture
def start(tmp_path, folder):
    """Run the entrypoint with a `rookery` that tells what it was asked; return that."""
    program = tmp_path / "bin" / "rookery"
    program.parent.mkdir()
    program.write_text(ROOKERY)
    program.chmod(0o755)
    told = tmp_path / "told"

    def run(*arguments, status=0, **environ):
        told.write_text("")
        path = f"{program.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            [ENTRYPOINT, *(arguments or ("classify",))],
            env={"PATH": path, "TOLD": str(told), "ROOKERY_SNAPSHOT_DIR": str(folder), **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        return told.read_text().replace(str(folder), "FOLDER").splitlines()

    return run


def test_without_a_folder_the_function_boots(start):
    assert start("classify", "--port=9000", ROOKERY_SNAPSHOT_DIR="") == [
        "serve classify --port=9000"
    ]


def test_the_first_start_makes_a_snapshot_and_every_start_wakes_it(start, folder):
    made, woken = start("classify", "--port=9000")
    (snapshot,) = folder.iterdir()
    assert snapshot.name.startswith("classify-")
    assert made == f"snapshot create classify -o FOLDER/{snapshot.name}"
    assert woken == f"serve classify --snapshot FOLDER/{snapshot.name} --port=9000"
    assert start("classify", "--port=9000") == [woken]


def test_where_none_can_be_made_the_function_boots(start):
    assert start(FAILS="yes")[1:] == ["serve classify"]


def test_it_can_be_made_ahead(start):
    (made,) = start("--make", "classify")
    assert made.startswith("snapshot create classify -o FOLDER/classify-")
    assert start("--make", "classify") == []
    assert len(start()) == 1


def test_making_it_ahead_says_that_it_failed(start):
    assert len(start("--make", "classify", status=1, FAILS="yes")) == 1


def test_making_it_ahead_needs_a_folder(start):
    assert start("--make", "classify", status=64, ROOKERY_SNAPSHOT_DIR="") == []


def test_an_image_that_brings_its_own_makes_no_other(start):
    assert start(ROOKERY_SNAPSHOT_MAKE="no") == ["serve classify"]


def test_while_one_start_makes_it_others_boot(start, folder):
    folder.mkdir(parents=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert start() == ["serve classify"]
    finally:
        os.close(lock)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        *(({name: "9"}, False) for name in ("ROOKERY_MODEL", *_FIXED)),
        *(({f"{prefix}X": "9"}, False) for prefix in _COMPUTING_PREFIXES),
        ({"TF_VAR_region": "9"}, True),
        ({"TF_TOKEN": "secret"}, True),
        ({"ROOKERY_SINK": "http://broker"}, True),
        ({"S3_SECRET_KEY": "secret"}, True),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else None,
)
def test_what_is_fixed_in_a_snapshot_chooses_it(start, changed, same):
    start()
    assert (len(start(**changed)) == 1) is same


@pytest.fixture
def making(tmp_path, start, folder, wait_until):
    """The entrypoint while it makes a snapshot, which is never done, and what was told."""
    assert start
    told = tmp_path / "told"
    process = subprocess.Popen(
        [ENTRYPOINT, "classify"],
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "TOLD": str(told),
            "ROOKERY_SNAPSHOT_DIR": str(folder),
            "SLOW": "yes",
        },
        stderr=subprocess.PIPE,
    )
    with process:
        wait_until(told.exists, "it to begin")
        yield process, told
        process.kill()


def test_a_stop_while_it_is_made_ends_what_makes_it_first(making):
    process, told = making
    process.terminate()
    process.terminate()
    process.communicate(timeout=30)  # until all that have its standard error have ended
    assert process.returncode == 143
    assert told.read_text().splitlines()[1:] == ["stopped"]


@pytest.mark.parametrize("option", ["--model=resnet50", "--backend", "--functions=/srv"])
def test_what_a_snapshot_is_made_of_comes_from_the_environment(start, option):
    assert start("classify", option, status=64) == []
    assert start("classify", option, ROOKERY_SNAPSHOT_DIR="") == [f"serve classify {option}"]


def test_a_function_must_be_named(start):
    assert start("--make", status=2) == []
