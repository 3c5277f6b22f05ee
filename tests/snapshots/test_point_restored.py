"""What a clone of a tiny process may rely on after its snapshot point, by the real CRIU."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rookery.frozen import donor_environment
from rookery.settings import Settings
from rookery.snapshots.create import Plan, create

pytestmark = pytest.mark.end_to_end

PREFIX = Path(__file__).parents[2] / ".rookery" / "criu" / "usr" / "lib"
BUFFERED_SINCE = (2, 41)  # glibc's getrandom(), in memory that the kernel may drop

_PASS = """
import os
from rookery.lifecycle.snapshot.criu import PipeDriver
from rookery.lifecycle.snapshot.point import snapshot_point

def pass_point():
    driver = PipeDriver(*map(int, os.environ["ROOKERY_SNAPSHOT_PIPES"].split(",")))
    snapshot_point(driver, secrets=(), hook_seconds=10)
    driver.report(None)
"""

# Both of its threads have a state of the C library's, of which the second's is used later.
DRAWING = """
import threading
at_the_point, awake = threading.Barrier(2), threading.Barrier(2)
drawn = []

def draw():
    os.urandom(8)
    at_the_point.wait()
    awake.wait()
    drawn.append(os.urandom(16).hex())

thread = threading.Thread(target=draw)
thread.start()
os.urandom(8)
at_the_point.wait()
pass_point()
drawn.append(os.urandom(16).hex())
awake.wait()
thread.join()
read, write = os.pipe()
if (child := os.fork()) == 0:
    os.write(write, os.urandom(16).hex().encode())
    os._exit(0)
os.waitpid(child, 0)
drawn += [os.urandom(16).hex(), os.read(read, 99).decode()]
print("drawn", *drawn, flush=True)
"""

GROWING = """
import threading
COUNT, MORE, BLOCK = 200_000, 4_000_000, 1 << 20
numbers, text = list(range(COUNT)), bytearray(b"x" * BLOCK)
mine, asked, grown = [], threading.Event(), threading.Event()

def grow_mine():
    block = bytearray(b"t" * BLOCK)
    mine.append(block)
    asked.wait()
    block.extend(b"u" * (64 * BLOCK))
    mine.append(bytearray(b"v" * (100 * BLOCK)))
    grown.set()

threading.Thread(target=grow_mine, daemon=True).start()
while not mine:
    pass
pass_point()
asked.set()
for number in range(COUNT, MORE):
    numbers.append(number)
for _ in range(100):
    text.extend(b"y" * BLOCK)
grown.wait()
assert numbers == list(range(MORE))
assert text == b"x" * BLOCK + b"y" * (100 * BLOCK)
assert mine == [b"t" * BLOCK + b"u" * (64 * BLOCK), b"v" * (100 * BLOCK)]
print("grown", flush=True)
"""

_LAUNCHER = """
import os, sys
from rookery.snapshots.wake import wake
sys.exit(wake(sys.argv[1], (), program=sys.argv[2], environ={"PATH": os.defpath}))
"""


def glibc() -> tuple[int, ...]:
    name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    return tuple(map(int, version.split("."))) if name == "glibc" else ()


@pytest.fixture
def buffering(tmp_path):
    """How to run Python on a C library whose getrandom() has bytes in stock."""
    if glibc() >= BUFFERED_SINCE:
        return (sys.executable,)
    # scripts/install-criu puts Debian 13's there where the machine's own is older.
    for loader in PREFIX.glob("*/ld-linux-*"):
        # A copy: Linux restores no process that maps the very program CRIU was started with.
        copy = shutil.copy(loader, tmp_path)
        return (copy, "--library-path", str(loader.parent), sys.executable)
    pytest.skip(f"the C library is older than 2.41, and none is in {PREFIX}")


@pytest.fixture
def snapshot(criu, tmp_path):
    """Make a snapshot of a process that runs some lines of Python."""

    def make(lines, python=(sys.executable,)):
        plan = Plan(
            function="tiny",
            folder=tmp_path,
            command=(*python, "-P", "-c", _PASS + lines),
            environ=donor_environment({"PATH": os.defpath}, Settings(ROOKERY_HOME=tmp_path)),
            frozen={},
            secrets={},
            program=criu,
        )
        create(plan, tmp_path / "snapshot", on_line=print)
        return tmp_path / "snapshot"

    return make


def woken(snapshot, program):
    """Wake it, and return the last thing it says."""
    done = subprocess.run(
        (sys.executable, "-c", _LAUNCHER, snapshot, program),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


def test_clones_and_their_children_draw_random_bytes_of_their_own(snapshot, criu, buffering):
    made = snapshot(DRAWING, buffering)
    drawn = [bytes_ for _ in range(2) for bytes_ in woken(made, criu)[1:]]
    assert len(drawn) == len(set(drawn)) == 8


def test_blocks_that_are_older_than_the_clone_can_grow(snapshot, criu):
    assert woken(snapshot(GROWING), criu) == ["grown"]
