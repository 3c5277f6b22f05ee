"""What is measured of a start, from outside."""

import os
import sys
import time

import pytest

from rookery.errors import StartFailed
from rookery.snapshots.stopwatch import time_start, time_starts

# A server that says what a clone says, and answers what its arguments say.
SERVER = """
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        image = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(sys.argv[1]))
        self.end_headers()
        self.wfile.write(image[::-1])

    def log_message(self, *_):
        pass

kept = bytearray(os.urandom(20_000_000))
server = HTTPServer(("127.0.0.1", 0), Handler)
sys.stderr.write(sys.argv[2] + "\\n")
sys.stderr.flush()
print(f"classify listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""
AWAKE = (
    "INFO: restored as instance 0 on host; hooks took 7 ms\n"
    "INFO: awake after 64 ms: its manifest read in 5 ms, restored in 26 ms (meanwhile checked in "
    "11 ms), told in 4 ms, hooks run and listening in 28 ms"
)


def server(status=200, says=""):
    return (sys.executable, "-c", SERVER, str(status), says)


def test_a_start_is_timed_to_its_first_answer_and_ended():
    before = time.perf_counter()

    start = time_start(server(), os.environ, b"abc")

    assert 0 < start.bound < start.answered < time.perf_counter() - before
    assert start.answer == b"cba"
    assert start.again > 0
    assert start.faults > 20_000_000 / 4096
    assert start.rss >= start.pss > 20_000_000
    assert start.steps == {}


def test_steps_are_those_that_a_clone_says():
    start = time_start(server(says=AWAKE), os.environ, b"abc")

    assert start.steps == {
        "took": 7, "read": 5, "restored": 26, "checked": 11, "told": 4, "listening": 28,
    }  # fmt: skip


def test_several_run_at_the_same_time():
    one, other = time_starts([server(), server()], os.environ, b"abc")

    # Each has its interpreter from the same file.
    assert one.pss < one.rss
    assert other.pss < other.rss


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (server(status=503), "answered 503"),
        (server(says="rookery: booting without the snapshot: it rained"), "not woken: it rained"),
        (
            (sys.executable, "-c", "raise SystemExit('no luck')"),
            "ended before it listened\nno luck",
        ),
        ((sys.executable, "-c", "print('x listening on http://127.0.0.1:9')"), "did not answer"),
    ],
    ids=["status", "booted", "ended", "no answer"],
)
def test_a_start_that_fails_says_how(command, reason):
    with pytest.raises(StartFailed, match=reason):
        time_start(command, os.environ, b"abc")
