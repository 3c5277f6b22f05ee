"""Signals and a deadline while a snapshot is woken."""

import os
from collections.abc import Callable
from functools import partial
from types import FrameType

from rookery.errors import SnapshotFailed


class Stopped(BaseException):
    """SIGTERM or SIGINT came before the clone served."""


class Bounded:
    """A context that ends with SnapshotFailed after a time; signals are heeded until `undo`."""

    _undone: list[Callable[[], object]]

    def __init__(self, stop: Callable[[int], None], *, seconds: int) -> None:
        """Call *stop* with a signal's number, until Stopped is raised; give up after *seconds*."""
        self._stop = stop
        self._seconds = seconds
        self._undone = []
        self._held = False
        self._stopped = False
        self._late: list[int] = []

    def __enter__(self) -> None:
        import signal

        def stop(number: int, frame: FrameType | None) -> None:
            del frame
            if self._held:
                self._late.append(number)
                return
            try:
                self._stop(number)
            except Stopped:
                self._held = self._stopped = True  # another one changes nothing
                raise

        def give_up(number: int, frame: FrameType | None) -> None:
            del number, frame
            raise SnapshotFailed(f"the snapshot was not awake after {self._seconds} s")

        handlers = dict.fromkeys((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), stop)
        for number, handler in {**handlers, signal.SIGALRM: give_up}.items():
            before = signal.signal(number, handler)
            self._undone.append(partial(signal.signal, number, before))
        signal.alarm(self._seconds)

    def __exit__(self, *_: object) -> None:
        import signal

        signal.alarm(0)

    def hold(self) -> None:
        """Keep signals for `undo`: what is being cleaned up is cleaned up."""
        self._held = True

    def undo(self) -> None:
        """Give signals back to whoever had them: after a failed attempt, a normal boot."""
        while self._undone:
            self._undone.pop()()
        if not self._stopped:
            for number in self._late:
                os.kill(os.getpid(), number)
