"""How a command that leaves things lying about while it works ends by a signal: in order."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

_NUMBERS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Turn the first signal that ends this process into SystemExit, and ignore those after it.

    What the command has begun is cleaned up then; another signal would tear that. A signal that
    whoever started us ignores, as nohup does, stays ignored.
    """
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    heeded = [number for number in _NUMBERS if before[number] != signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, _end)
    yield
    for number in heeded:
        signal.signal(number, before[number])


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    for each in _NUMBERS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)
