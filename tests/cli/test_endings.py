"""A command that is ended by signals cleans up, however many of them come."""

import signal
import subprocess
import sys

import pytest

from rookery.cli.endings import ending_in_order

NUMBERS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

COMMAND = """
import os, signal, sys
from rookery.cli.endings import ending_in_order
for number in ({numbers}):  # whoever runs this test may ignore some
    signal.signal(number, signal.SIG_DFL)
{before}
with ending_in_order():
    try:
        os.kill(os.getpid(), {first})
        sys.exit("went on")
    finally:
        for second in ({numbers}):
            os.kill(os.getpid(), second)
        print("cleaned up", flush=True)
"""


def run(first, before=""):
    numbers = ", ".join(str(int(number)) for number in NUMBERS)
    lines = COMMAND.format(first=int(first), numbers=numbers, before=before)
    return subprocess.run(
        (sys.executable, "-c", lines), capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.parametrize("first", NUMBERS)
def test_no_other_signal_tears_the_cleaning_up(first):
    done = run(first)
    assert (done.returncode, done.stdout) == (128 + first, "cleaned up\n"), done.stderr


def test_what_ends_by_itself_gives_signals_back():
    before = [signal.getsignal(number) for number in NUMBERS]
    with ending_in_order():
        assert [signal.getsignal(number) for number in NUMBERS] != before
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_a_signal_that_is_ignored_stays_ignored():
    # As with nohup, or in the background of a shell.
    ignored = [f"signal.signal({int(number)}, signal.SIG_IGN)" for number in NUMBERS]
    assert run(signal.SIGHUP, before="; ".join(ignored)).stderr == "went on\n"
