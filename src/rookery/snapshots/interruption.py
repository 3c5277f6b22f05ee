"""Signals and a deadline while a snapshot is woken."""

import os
from collections.abc import Callable
from types import FrameType

from rookery.errors import SnapshotFailed

_Handler = Callable[[int, FrameType | None], object] | int | None


class Stopped(BaseException):
    """SIGTERM or SIGINT came before the clone served."""


class Bounded:
    """A context that ends with SnapshotFailed after a time, and takes signals over until `undo`.

    They are kept until `heed`, and from `hold` on: what is started in between, and cleaned up
    afterwards, is not torn in two. In between, one of them raises, and then no other one.
    """

    _undone: list[tuple[int, _Handler]]

    def __init__(self, stop: Callable[[int], None], *, seconds: float) -> None:
        """Call *stop* with a signal's number, until Stopped is raised; give up after *seconds*."""
        self._stop = stop
        self._seconds = seconds
        self._undone = []
        self._children: _Handler = None
        self._held = True
        self._stopped = False
        self._late: list[int] = []

    def __enter__(self) -> None:
        import signal

        def stop(number: int, frame: FrameType | None) -> None:
            del frame
            if self._held:
                self._late.append(number)
            else:
                self._heed(number)

        def give_up(number: int, frame: FrameType | None) -> None:
            del number, frame
            if not self._held:
                self._held = True
                raise SnapshotFailed(f"the snapshot was not awake after {self._seconds:g} s")

        # Where whoever started us ignores SIGCHLD, we would not be told how a child ended.
        self._children = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        handlers = dict.fromkeys((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), stop)
        for number, handler in {**handlers, signal.SIGALRM: give_up}.items():
            self._undone.append((number, signal.signal(number, handler)))

    def __exit__(self, *_: object) -> None:
        import signal

        signal.setitimer(signal.ITIMER_REAL, 0)

    def heed(self) -> None:
        """Call *stop* from now on, and first for the signals that have come; the time begins."""
        import signal

        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        self._held = False
        while self._late:
            self._heed(self._late.pop(0))

    def hold(self) -> None:
        """Keep signals for `undo`: what is being cleaned up is cleaned up.

        To be called in a `finally` of its own: one that comes just before it raises in its place.
        """
        self._held = True

    def undo(self) -> None:
        """Give signals back to whoever had them: after a failed attempt, a normal boot.

        What was stopped ends now, in order: another signal is ignored until it has.
        """
        import signal

        while self._undone:
            number, before = self._undone.pop()
            signal.signal(number, signal.SIG_IGN if self._stopped else before)
        signal.signal(signal.SIGCHLD, self._children)
        if not self._stopped:
            for late in self._late:
                os.kill(os.getpid(), late)

    def _heed(self, number: int) -> None:
        try:
            self._stop(number)
        except Stopped:
            self._held = self._stopped = True  # another one changes nothing
            raise
