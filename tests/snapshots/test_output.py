import os
import subprocess
import sys

import pytest

# A launcher, and in the place of a clone a process that writes to what that would be given.
LAUNCHER = """
import os, sys
from rookery.snapshots.output import Output, open_closed

open_closed()
output = Output()
given = (output.stdout, output.stderr)
clone = os.fork()
if clone == 0:
    os.write(given[0], b"out" * int(sys.argv[1]))
    os.write(given[1], b"err")
    os._exit(0)
for descriptor in output.opened:
    os.close(descriptor)
output.start()
os.waitpid(clone, 0)
output.finish()
output.finish()
"""


def launched(stdout, stderr, *, times=1):
    command = (sys.executable, "-c", LAUNCHER, str(times))
    return subprocess.run(command, stdout=stdout, stderr=stderr, check=False, timeout=30)


def test_a_pipe_is_given_as_it_is():
    done = launched(subprocess.PIPE, subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out", b"err")


def test_what_is_in_a_file_is_not_written_over(tmp_path):
    path = tmp_path / "log"
    path.write_text("before\n")
    with path.open("ab") as file:
        done = launched(file, subprocess.DEVNULL)
    assert (done.returncode, path.read_text()) == (0, "before\nout")


def test_one_file_may_be_both(tmp_path):
    with (tmp_path / "log").open("wb") as file:
        assert launched(file, subprocess.STDOUT).returncode == 0
    assert sorted((tmp_path / "log").read_text()) == sorted("outerr")


def test_more_than_a_pipe_holds_is_passed_on_while_the_clone_runs(tmp_path):
    with (tmp_path / "log").open("wb") as file:
        assert launched(file, file, times=100_000).returncode == 0
    assert (tmp_path / "log").stat().st_size == 300_003


@pytest.mark.parametrize("mode", [os.O_RDONLY, os.O_WRONLY])
def test_an_output_that_nobody_takes_does_not_stop_the_clone(tmp_path, mode):
    # To a file that is open for reading, nothing can be written; neither can it to a full device.
    path = tmp_path / "log" if mode == os.O_RDONLY else "/dev/full"
    (tmp_path / "log").touch()
    target = os.open(path, mode)
    try:
        assert launched(target, target, times=100_000).returncode == 0
    finally:
        os.close(target)


def without(closed, launcher):
    command = ("sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", launcher, "1")
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30
    )
    return done.returncode, done.stdout, done.stderr


def test_a_stream_that_is_closed_is_nothing():
    assert without(">&-", LAUNCHER) == (0, b"", b"err")
    assert without("2>&-", LAUNCHER) == (0, b"out", b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_nothing_takes_the_place_of_a_stream_that_is_closed(closed):
    opens = LAUNCHER.partition("\noutput")[0] + "\nos._exit(os.open(os.devnull, os.O_RDONLY))"
    assert without(closed, opens)[0] >= 3
