"""The standard streams of a clone: ours, or pipes that lead to them.

CRIU opens what takes a pipe's place anew. That is the same for a pipe or a terminal, but would
write over the start of a file, and fails for a socket: those get a pipe, and what comes is passed
on.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Thread

_CHUNK = 65_536


def open_closed() -> None:
    """Lead those of the descriptors 0 to 2 that are closed to nowhere.

    What is opened next would be taken for a standard stream otherwise.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - has no name


class Output:
    """What a clone gets for the standard output and the standard error of this process.

    Attributes:
        stdout: the descriptor for the one.
        stderr: the descriptor for the other.
    """

    def __init__(self) -> None:
        """Open what is needed; the descriptors 0 to 2 must be open."""
        self.opened: list[int] = []
        """Descriptors to be closed here once the clone has them."""
        self._relayed: list[tuple[int, int]] = []
        self._threads: list[Thread] = []
        self.stdout = self._given(1)
        self.stderr = self._given(2)

    def start(self) -> None:
        """Pass on what the clone prints from now on: a pipe that is full would hold it up."""
        if self._relayed:
            from threading import Thread

            self._threads = [
                Thread(target=_pass_on, args=pipe, daemon=True) for pipe in self._relayed
            ]
            for thread in self._threads:
                thread.start()

    def finish(self) -> None:
        """Pass on what is left, when the clone has ended; may be called twice."""
        for thread in self._threads:
            thread.join()
        for source, target in self._relayed:
            _pass_on(source, target)
            os.close(source)
        self._relayed = []

    def _given(self, number: int) -> int:
        mode = os.fstat(number).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            return number
        source, given = os.pipe()
        self._relayed.append((source, number))
        self.opened.append(given)
        return given


def _pass_on(source: int, target: int) -> None:
    """Copy until all writers have gone."""
    while part := os.read(source, _CHUNK):
        rest = memoryview(part)
        while rest:
            try:
                rest = rest[os.write(target, rest) :]
            except OSError:
                break  # nobody reads it, or the disk is full: that must not stop the clone
