"""Trying again while the other side is away: for so long, and not after we were told to stop."""

import random
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from rookery.delivery.retry import RetryPolicy
from rookery.errors import SinkDenied, SinkUnavailable, StorageUnavailable, Unavailable
from rookery.link import Link
from rookery.storage.protocol import ListedObject, ListedPage, ObjectListing

T = TypeVar("T")

# What waits for an operator, such as refused credentials, is said at once.
_PASSING: Final = (StorageUnavailable, SinkUnavailable)
_ATTEMPTS: Final = 10_000  # the time is what bounds them


class Patience:
    """Repeats a call that failed for now, with growing pauses. Thread-safe."""

    def __init__(
        self,
        name: str,
        stopping: threading.Event,
        *,
        seconds: float,
        policy: RetryPolicy | None = None,
    ) -> None:
        """Call the other side *name* in the log; give up after *seconds*, or when *stopping*."""
        self._link = Link(name)
        self._stopping = stopping
        self._policy = policy or RetryPolicy(
            attempts=_ATTEMPTS, base_seconds=0.5, cap_seconds=15.0, total_seconds=seconds
        )

    def call(self, action: Callable[[], T]) -> T:
        """Return what *action* returns.

        Raises:
            Unavailable: the last failure, when there was no more time for another.
        """
        began = time.monotonic()
        failures = 0
        while True:
            try:
                value = action()
            except SinkDenied:
                raise
            except _PASSING as exc:
                failures += 1
                self._wait(exc, failures, time.monotonic() - began)
            else:
                self._link.up()
                return value

    def _wait(self, error: Unavailable, failures: int, elapsed: float) -> None:
        self._link.down(error)
        pause = self._policy.pause(
            failures,
            elapsed=elapsed,
            fraction=random.uniform(0.5, 1.0),  # noqa: S311
        )
        if pause is None or self._stopping.wait(pause):
            raise error


class PatientListing:
    """A listing that is asked again while the store does not answer."""

    def __init__(self, listing: ObjectListing, patience: Patience) -> None:
        """Ask *listing* with *patience*."""
        self._listing = listing
        self._patience = patience

    def page(
        self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> ListedPage:
        """Return the next objects, as the port says."""
        return self._patience.call(
            lambda: self._listing.page(bucket, prefix=prefix, after=after, limit=limit)
        )

    def find(self, bucket: str, key: str) -> ListedObject | None:
        """Return the newest version of *key*, as the port says."""
        return self._patience.call(lambda: self._listing.find(bucket, key))
