"""A process is dumped, laid out and restored twice, by the real CRIU."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from rookery.errors import CriuMissing
from rookery.snapshots import criu
from rookery.snapshots.children import children, has_open
from rookery.snapshots.donor import run_donor
from rookery.snapshots.layout import lay_out
from rookery.snapshots.manifest import MEMORY

pytestmark = pytest.mark.end_to_end

# Holds memory of every kind a function's process has, says what is in it, and then lives twice.
DONOR = """
import ctypes, hashlib, json, mmap, os, sys, threading, time
import numpy as np

control, status = map(int, os.environ["ROOKERY_SNAPSHOT_PIPES"].split(","))
random = np.random.default_rng(7)
arrays = [random.integers(0, 256, size, dtype=np.uint8) for size in
          (1000, 4096, 70_000, 300_000, 5_000_000, 33_000_000)]
heap = {number: f"{number:x}" * (number % 50) for number in range(50_000)}
sparse = np.zeros(40_000_000, dtype=np.uint8)
sparse[::1_000_000] = 7
alone = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
alone.write(random.bytes(1 << 20))
alone.madvise(mmap.MADV_DONTFORK)
shared = mmap.mmap(-1, 1 << 18)
shared.write(random.bytes(1 << 18))
frozen = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
frozen.write(random.bytes(1 << 20))
address = ctypes.addressof(ctypes.c_char.from_buffer(frozen))
libc = ctypes.CDLL(None)
assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(1 << 20), mmap.PROT_READ) == 0

asked, told = threading.Barrier(4), threading.Barrier(4)
threads = [None] * 3

def think(number):
    mine = np.full(200_000, number, dtype=np.int64)
    local = bytes([number]) * 20_000
    while True:
        asked.wait()
        threads[number] = hashlib.sha256(mine.tobytes() + local).hexdigest()
        told.wait()

for number in range(3):
    threading.Thread(target=think, args=(number,), daemon=True).start()

def content():
    asked.wait()
    told.wait()
    parts = [array.tobytes() for array in arrays]
    parts += [repr(heap).encode(), sparse.tobytes(), alone[:], shared[:], frozen[:]]
    return [hashlib.sha256(part).hexdigest() for part in parts] + threads

def say(**what):
    os.write(status, json.dumps(what).encode() + b"\\n")

before = content()
say(state="ready")
order = b""
while part := os.read(control, 4096):
    order += part
order = json.loads(order)
after = content()
mark = order["mark"]
for array in (*arrays, sparse):
    array[:] = mark
changed = {number: heap[number] + str(mark) for number in heap}
alone[:] = bytes([mark]) * len(alone)
more = np.full(20_000_000, mark, dtype=np.uint8)
say(state="written", before=before, after=after)
while not os.path.exists(order["both"]):
    time.sleep(0.01)
marked = [array for array in (*arrays, sparse, more) if (array != mark).any()]
say(state="kept", kept=not marked and set(alone[:]) == {mark} and content()[0] != before[0])
"""


@pytest.fixture(scope="module")
def program():
    """Find a CRIU that can restore here."""
    if os.geteuid() != 0:
        pytest.skip("CRIU needs root")
    try:
        found = criu.find_in(os.environ)
    except CriuMissing as exc:
        pytest.skip(str(exc))
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"Version: (\d+)\.(\d+)", said.stdout)
    if not version or tuple(map(int, version.groups())) < criu.OLDEST:
        pytest.skip(f"{found} is older than CRIU {'.'.join(map(str, criu.OLDEST))}")
    checked = subprocess.run([found, "check"], capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        pytest.skip(f"CRIU cannot work here: {checked.stderr.strip()}")
    return found


class Clone:
    """A restored process, a child of the tests, and the pipes to it."""

    def __init__(self, program, snapshot, pipes, log):
        control, self._control = os.pipe()
        self._status, status = os.pipe()
        memory = os.open(snapshot / MEMORY, os.O_RDONLY)
        out, err = (os.open(os.devnull, os.O_WRONLY) for _ in range(2))
        streams = {"stdout": out, "stderr": err, "control": control, "status": status}
        written = os.open(log, os.O_CREAT | os.O_WRONLY)
        command = criu.restore_command(
            program,
            directory=str(snapshot),
            log=written,
            pipes=pipes,
            streams=streams,
            memory=memory,
        )
        theirs = (*streams.values(), memory, written)
        done = subprocess.run(command, pass_fds=theirs, check=False, capture_output=True, text=True)
        for descriptor in theirs:
            os.close(descriptor)
        assert done.returncode == 0, done.stderr + log.read_text()
        (self.process,) = (one for one in children() if has_open(one, self._status))

    def order(self, **what):
        os.write(self._control, json.dumps(what).encode())
        os.close(self._control)

    def hear(self):
        line = b""
        while not line.endswith(b"\n"):
            part = os.read(self._status, 1)
            assert part, "the clone ended"
            line += part
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._status)
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


@pytest.fixture(scope="module")
def snapshot(program, tmp_path_factory):
    """Dump the donor and lay it out; with the names of its pipes."""
    directory = tmp_path_factory.mktemp("snapshot")
    environ = {"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    said = []
    command = (sys.executable, "-c", DONOR)
    with run_donor(command, environ, said.append) as donor:
        dumped = subprocess.run(
            criu.dump_command(program, donor.process, str(directory)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert dumped.returncode == 0, dumped.stderr + (directory / "dump.log").read_text()
        pipes = donor.pipes
    return directory, pipes, lay_out(str(directory))


def digest(path: Path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_most_memory_is_mapped(snapshot):
    _, _, done = snapshot
    # The arrays alone are 38 MB; what is copied is code, stacks, and the scattered rest.
    assert done.mapped > 38_000_000
    assert done.copied < 8_000_000


def test_two_clones_have_the_donors_memory_and_keep_their_writes_to_themselves(
    program, snapshot, tmp_path
):
    directory, pipes, _ = snapshot
    both = tmp_path / "both"
    before = digest(directory / MEMORY)
    with ExitStack() as stack:
        clones = [
            stack.enter_context(Clone(program, directory, pipes, tmp_path / name))
            for name in ("first", "second")
        ]
        for mark, clone in enumerate(clones, 1):
            clone.order(mark=mark, both=str(both))
        written = [clone.hear() for clone in clones]
        both.touch()
        kept = [clone.hear() for clone in clones]
    for said in written:
        assert said["after"] == said["before"]
    assert [said["kept"] for said in kept] == [True, True]
    assert digest(directory / MEMORY) == before
