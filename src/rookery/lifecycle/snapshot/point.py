"""The snapshot point: one blocking call, made once per image above it and once per clone below."""

import logging
import os
import time
from collections.abc import Collection
from pathlib import Path
from time import perf_counter

from rookery.lifecycle.hooks import run_after_restore, run_before_snapshot
from rookery.lifecycle.instance import current
from rookery.lifecycle.snapshot.footprint import map_large_blocks, shrink
from rookery.lifecycle.snapshot.none import NoSnapshots
from rookery.lifecycle.snapshot.protocol import Driver, Restored
from rookery.lifecycle.snapshot.randomness import forget, renew
from rookery.lifecycle.snapshot.safety import refuse_offenders

_log = logging.getLogger(__name__)


def snapshot_point(
    driver: Driver, *, secrets: Collection[str], hook_seconds: float
) -> Restored | None:
    """Let *driver* take a snapshot of this process, and say what the restored one was told.

    Before it: the before-snapshot hooks, the heap shrunk, what a snapshot forbids looked for, and
    the C library's random state dropped.
    After it, in a restored process: environment, working directory, clock and identity are those
    of the place it woke up in, then the after-restore hooks. A process that was snapshotted and
    goes on (None) runs the after-restore hooks as well: they undo what the others did. Where
    nobody takes snapshots nothing of all that happens.

    Call it from the main thread: the driver may end the process here, with SystemExit.

    Args:
        driver: what takes the snapshot.
        secrets: names of environment variables that must not be set.
        hook_seconds: for all after-restore hooks together.

    Raises:
        SnapshotUnsafe: the process holds what a snapshot cannot, or must not, keep.
        HookFailed: a hook raised, or the after-restore hooks took too long.
        SnapshotFailed: the driver reports a failure, or random state cannot be dropped.
    """
    if isinstance(driver, NoSnapshots):
        return None
    run_before_snapshot()
    shrink()
    refuse_offenders(secrets, driver.descriptors)
    _log.info("ready for a snapshot (driver %s)", driver.name)
    state = forget()  # after whatever may draw random bytes
    restored = driver.wait()
    renew(state)  # a thread may have drawn since
    started = perf_counter()
    if restored is not None:
        map_large_blocks(os.environ)  # as the donor was started, so before it is replaced
        _move_in(restored)
    run_after_restore(hook_seconds)
    if restored is not None:
        here = current()
        _log.info(
            "restored as instance %s on %s; hooks took %.0f ms",
            here.id, here.hostname, (perf_counter() - started) * 1000,
        )  # fmt: skip
    return restored


def _move_in(restored: Restored) -> None:
    """Take over the environment, working directory and time zone of the place we woke up in."""
    if restored.environ is not None:
        # In place: everybody holds this very mapping, and it tells the C library, too.
        os.environ.clear()
        os.environ.update(restored.environ)
    if restored.directory is not None:
        try:
            os.chdir(restored.directory)
        except OSError as exc:
            _log.warning(
                "cannot work in %s (%s); staying in %s",
                restored.directory, exc.strerror, Path.cwd(),
            )  # fmt: skip
    time.tzset()
