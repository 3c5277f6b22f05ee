"""Wakes a snapshot: CRIU restores a clone, and this process stays its parent until it ends.

While CRIU restores, the clone's key and the checksums of its pages are checked: a restored clone
first of all waits for a message, which it gets only when everything is in order. So nothing of a
damaged or foreign snapshot ever runs.

Imported before a snapshot is woken, where every millisecond counts: what is not needed to start
CRIU is imported while CRIU runs.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence

from rookery.errors import SnapshotFailed, SnapshotMismatch
from rookery.snapshots import criu, kernel, manifest, privileges, verified
from rookery.snapshots.children import children, has_open
from rookery.snapshots.interruption import Bounded, Stopped
from rookery.snapshots.output import Output, open_closed

# For CRIU and for binding the port. In between, hooks run, for the donor's ROOKERY_HOOK_SECONDS: no
# more than ours are known here, so where a donor had many more, give the launcher as many.
_SECONDS = 60
_HOOK_SECONDS = 10.0  # the settings' default
_MOST_HOOK_SECONDS = 86_400  # and what they take at most
_CHUNK = 65_536


def wake(
    directory: str, arguments: Sequence[str], *, program: str, environ: Mapping[str, str]
) -> int:
    """Restore the snapshot in *directory*, and return the status its process ends with.

    Args:
        directory: the snapshot.
        arguments: the command line that the clone serves by.
        program: CRIU.
        environ: the clone's environment.

    Raises:
        SnapshotInvalid: the directory holds no snapshot, or a damaged one.
        SnapshotMismatch: it is of other code or another machine.
        SnapshotFailed: CRIU could not restore it, or the clone ended before it served.
    """
    started = time.time()
    open_closed()
    described = manifest.read(directory)
    manifest.verify_small(directory, described)
    privileges.require(privileges.of("self"), described.capabilities)
    launch = _Launch(directory, described, program)
    launch.moments["started"] = started
    bounded = Bounded(launch.stop, seconds=_SECONDS + _hook_seconds(environ))
    try:
        try:
            with bounded:
                launch.start()
                bounded.heed()
                launch.check()
                launch.await_restored()
                launch.release(arguments, environ)
                launch.await_serving()
            return launch.await_end()
        finally:
            bounded.hold()
    except Stopped:
        return 0
    finally:
        try:
            launch.end()
        finally:
            try:
                launch.clean()
            finally:
                bounded.undo()


class _Launch:
    """One attempt: CRIU's process, the pipes to the clone, and the clone."""

    def __init__(self, directory: str, described: manifest.Manifest, program: str) -> None:
        self._directory = directory
        self._manifest = described
        self._program = program
        # The clone says with its own where the time went; the two have only this clock in common.
        self.moments: dict[str, float] = {}
        self._others = frozenset[int]()
        self._criu = self._clone = 0
        self._offered = self._serving = False
        self._received = b""
        self._control = self._status = self._log = -1
        self._output = Output()

    def start(self) -> None:
        """Start CRIU; nothing may interrupt that."""
        theirs = [*self._output.opened]
        try:
            self._start(theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    def _start(self, theirs: list[int]) -> None:
        control_read, self._control = os.pipe()
        theirs.append(control_read)
        self._status, status_write = os.pipe()
        theirs.append(status_write)
        # No file: nobody could remove it where this process is killed.
        self._log = os.memfd_create("criu.log")
        log = os.dup(self._log)
        theirs.append(log)
        memory = _open_memory(self._directory)
        if memory is not None:
            theirs.append(memory)
        for descriptor in theirs:
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - has no name
        command = criu.restore_command(
            self._program,
            directory=self._directory,
            log=log,
            pipes=self._manifest.pipes,
            streams={
                "stdout": self._output.stdout,
                "stderr": self._output.stderr,
                "control": control_read,
                "status": status_write,
            },
            memory=memory,
            limited=privileges.limited(privileges.of("self")),
        )
        self._offered = kernel.offer(self._directory)
        self._others = frozenset(children())
        try:
            # A group of its own, so that what CRIU starts for itself can be ended with it.
            self._criu = os.posix_spawn(self._program, command, {"PATH": os.defpath}, setpgroup=0)
        except OSError as exc:
            raise SnapshotFailed(f"{self._program} cannot be run: {exc.strerror}") from exc
        self.moments["criu"] = time.time()

    def check(self) -> None:
        """Compare the key, and the checksums of the pages, while CRIU restores."""
        from rookery.snapshots.facts import differences, facts

        if found := differences(self._manifest.facts, facts(self._program)):
            raise SnapshotMismatch(found)
        files = self._manifest.files
        before = verified.identity(self._directory, files)
        if not verified.is_verified(self._directory, before):
            manifest.verify_big(self._directory, self._manifest)
            verified.remember(self._directory, files, before)
        self.moments["checked"] = time.time()

    def await_restored(self) -> None:
        """Wait for CRIU to end, and be ready for what the clone prints."""
        self._output.start()
        _, status = os.waitpid(self._criu, 0)
        self._take_back()
        if os.waitstatus_to_exitcode(status) != 0:
            raise SnapshotFailed(f"CRIU cannot restore {self._directory}: {self._reason()}")
        self._clone = self._restored()
        self.moments["restored"] = time.time()

    def release(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        """Let the clone go on, and tell it where it is."""
        message = {
            "environ": dict(environ),
            "arguments": list(arguments),
            "directory": os.getcwd(),
            "moments": self.moments,
        }
        rest = memoryview(json.dumps(message).encode())
        try:
            while rest:
                rest = rest[os.write(self._control, rest) :]
        except BrokenPipeError as exc:
            raise SnapshotFailed("the restored process ended at once") from exc
        # In this order: a signal in between must not have it closed twice.
        control, self._control = self._control, -1
        os.close(control)

    def await_serving(self) -> None:
        """Wait for the clone's word that it serves."""
        said = json.loads(self._line() or '{"state": "gone"}')
        if said["state"] == "refused":
            raise SnapshotFailed(f"the restored process refused to serve: {said['reason']}")
        if said["state"] != "serving":
            raise SnapshotFailed(f"the restored process ended before it served{self._how()}")
        self._serving = True

    def await_end(self) -> int:
        """Pass signals and output on until the clone ends; return its exit status."""
        _, status = os.waitpid(self._clone, 0)
        self._clone = 0
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def stop(self, number: int) -> None:
        """Heed a signal: the clone's when it serves, an end of the attempt before that."""
        if not self._serving:
            raise Stopped
        if self._clone:
            import signal

            # Pid 1 of a namespace ignores what it has no handler for, as for the end of a terminal.
            told = signal.SIGTERM if number == signal.SIGHUP else number
            try:
                os.kill(self._clone, told)
            except ProcessLookupError:
                return  # it has just ended

    def end(self) -> None:
        """End whatever this attempt has started and is still there."""
        import signal
        from contextlib import suppress

        if not self._criu:
            return
        # Later, its number may be another's.
        if not self._serving:
            with suppress(ProcessLookupError):  # all of it has ended
                os.killpg(self._criu, signal.SIGKILL)
        # Again and again: while one is being ended, CRIU may have made another.
        while left := self._left():
            for process in left:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)

    def clean(self) -> None:
        """Remove what lies about; may be called twice."""
        self._output.finish()
        self._take_back()
        for descriptor in (self._control, self._status, self._log):
            if descriptor >= 0:
                os.close(descriptor)
        self._control = self._status = self._log = -1

    def _left(self) -> list[int]:
        """Return our children that this attempt has started; others may have been there before."""
        # CRIU makes the clone, whose number is known at last, a child of ours. A process that comes
        # without our doing, as to pid 1 of a container, is taken for one of ours only until then.
        ours = [process for process in children() if process not in self._others]
        return [process for process in ours if process == self._clone or not self._serving]

    def _restored(self) -> int:
        """Return the clone: the child that CRIU has left us, with the other ends of our pipes."""
        left = self._left()
        if len(left) > 1:  # pid 1 of a container is given whom nobody else waits for
            left = [process for process in left if has_open(process, self._status)]
        if len(left) != 1:
            raise SnapshotFailed("CRIU ended well, but has restored nothing")
        return left[0]

    def _take_back(self) -> None:
        if self._offered:
            kernel.take_back()
            self._offered = False

    def _line(self) -> bytes:
        while b"\n" not in self._received:
            part = os.read(self._status, _CHUNK)
            if not part:
                return b""
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _how(self) -> str:
        _, status = os.waitpid(self._clone, 0)
        self._clone = 0
        code = os.waitstatus_to_exitcode(status)
        return f", by signal {-code}" if code < 0 else f", with exit status {code}"

    def _reason(self) -> str:
        log = os.pread(self._log, os.fstat(self._log).st_size, 0)
        return criu.first_error(log.decode(errors="replace").splitlines())


def _hook_seconds(environ: Mapping[str, str]) -> float:
    try:
        found = float(environ.get("ROOKERY_HOOK_SECONDS", ""))
    except ValueError:
        return _HOOK_SECONDS
    return found if 0 < found <= _MOST_HOOK_SECONDS else _HOOK_SECONDS


def _open_memory(directory: str) -> int | None:
    try:
        return os.open(os.path.join(directory, manifest.MEMORY), os.O_RDONLY)
    except FileNotFoundError:
        return None
