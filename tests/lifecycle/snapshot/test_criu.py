import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import SnapshotFailed
from rookery.lifecycle.snapshot import criu
from rookery.lifecycle.snapshot.criu import PipeDriver
from rookery.lifecycle.snapshot.protocol import Restored

MESSAGE = {"environ": {"A": "1"}, "arguments": ["classify", "--port=0"], "directory": "/srv"}

texts = st.text()


@dataclass
class Pipes:
    """A driver, and the ends of its pipes that a creator or a launcher holds."""

    driver: PipeDriver
    control: int
    status: int

    def send(self, content):
        """Write *content* and close the pipe, from a thread: it may be longer than a pipe holds."""

        def write():
            with os.fdopen(self.control, "wb", closefd=True) as file:
                file.write(content)

        threading.Thread(target=write).start()

    def said(self):
        return [json.loads(line) for line in os.read(self.status, 65536).splitlines()]


@pytest.fixture(autouse=True)
def deaths(monkeypatch):
    """Which signals the driver has asked for; this process must not get them."""
    asked = []
    monkeypatch.setattr(criu, "_end_with_parent", asked.append)
    return asked


@pytest.fixture
def pipes():
    read, control = os.pipe()
    status, write = os.pipe()
    made = Pipes(PipeDriver(read, write), control, status)
    yield made
    for descriptor in (read, control, status, write):
        try:
            os.close(descriptor)
        except OSError:
            continue  # that was the test


def test_it_is_a_driver_that_holds_two_descriptors(pipes):
    assert pipes.driver.name == "criu"
    assert len(pipes.driver.descriptors) == 2


def test_it_is_ready_before_it_is_told_anything(pipes):
    pipes.send(json.dumps(MESSAGE).encode())
    assert pipes.driver.wait() == Restored({"A": "1"}, ("classify", "--port=0"), "/srv")
    assert pipes.said() == [{"state": "ready"}]


def test_a_long_environment_is_read_to_its_end(pipes):
    pipes.send(json.dumps(MESSAGE | {"environ": {"A": "1" * 300_000}}).encode())
    assert len(pipes.driver.wait().environ["A"]) == 300_000


@given(st.dictionaries(texts, texts), st.lists(texts), texts)
def test_whatever_it_is_told_arrives(environ, arguments, directory):
    read, control = os.pipe()
    status, write = os.pipe()
    message = {"environ": environ, "arguments": arguments, "directory": directory}
    Pipes(driver := PipeDriver(read, write), control, status).send(json.dumps(message).encode())
    told = driver.wait()
    os.close(status)
    os.close(write)
    assert told == Restored(environ, tuple(arguments), directory)


def test_the_control_pipe_is_closed_once_it_was_read(pipes):
    pipes.send(json.dumps(MESSAGE).encode())
    pipes.driver.wait()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pipes.driver.descriptors[0])


def test_whoever_goes_away_instead_is_missed(pipes):
    os.close(pipes.control)
    with pytest.raises(SnapshotFailed, match="was to make or restore the snapshot went away"):
        pipes.driver.wait()


def test_nobody_to_tell_that_it_is_ready_is_a_failure(pipes):
    os.close(pipes.status)
    with pytest.raises(SnapshotFailed, match=r"went away: .*Broken pipe"):
        pipes.driver.wait()


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        (None, {"state": "serving"}),
        ("no model dodo", {"state": "refused", "reason": "no model dodo"}),
        ("two\nlines, é", {"state": "refused", "reason": "two\nlines, é"}),
    ],
)
def test_how_it_went_is_told_once_and_is_the_last_word(pipes, refusal, line):
    pipes.driver.report(refusal)
    pipes.driver.report("again")
    assert pipes.said() == [line]
    assert os.read(pipes.status, 1) == b""


def test_a_clone_that_nobody_waits_for_does_not_serve(pipes):
    os.close(pipes.status)
    with pytest.raises(SnapshotFailed, match="went away"):
        pipes.driver.report(None)


MOMENTS = {"started": 10.0, "criu": 10.25, "checked": 10.5, "restored": 11.0}


@pytest.mark.parametrize(
    ("moments", "refusal", "lines"),
    [
        (MOMENTS, None, 1),
        (MOMENTS, "no model dodo", 0),
        ({}, None, 0),
        ({"started": 10.0}, None, 0),
    ],
)
def test_a_clone_that_serves_says_where_the_time_went(pipes, caplog, moments, refusal, lines):
    caplog.set_level("INFO")
    pipes.send(json.dumps(MESSAGE | {"moments": moments}).encode())
    pipes.driver.wait()
    pipes.driver.report(refusal)
    said = [record.getMessage() for record in caplog.records if "awake after" in record.msg]
    assert len(said) == lines
    assert all("read in 250 ms, restored in 750 ms" in line for line in said)
    assert all("checked in 250 ms" in line for line in said)


# --- the end of the launcher ---------------------------------------------------------------


def test_a_clone_asks_to_be_killed_with_its_launcher_until_it_serves(pipes, deaths):
    pipes.send(json.dumps(MESSAGE).encode())
    pipes.driver.wait()
    assert deaths == [signal.SIGKILL]
    pipes.driver.report(None)
    assert deaths == [signal.SIGKILL, signal.SIGTERM]


# A launcher that ends without a word, and a clone that drains when it is told to.
LAUNCHER = """
import json, os, signal, sys
from rookery.lifecycle.snapshot.criu import PipeDriver

read, control = os.pipe()
status, write = os.pipe()
if os.fork() == 0:
    os.close(control)
    os.close(status)
    driver = PipeDriver(read, write)
    driver.wait()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("drained")))
    driver.report(None)
    signal.pause()
os.close(read)
os.close(write)
os.write(control, json.dumps({"environ": {}, "arguments": [], "directory": ""}).encode())
os.close(control)
while os.read(status, 100):
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_clone_drains_when_its_launcher_is_killed():
    # The output ends when the clone has.
    done = subprocess.run(
        (sys.executable, "-c", LAUNCHER), capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "drained\n"), done.stderr
