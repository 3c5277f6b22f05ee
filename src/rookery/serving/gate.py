"""Admission: how many requests may be inside, and how many images may be worked on at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rookery.backends.options import Performance
from rookery.errors import Overloaded


def images_at_once(cpus: int, threads: int | None, performance: Performance) -> int:
    """Return how many images to work on at once, where nobody has said: at least 1.

    For throughput each has a CPU of its own. For latency one is decoded, which takes one CPU,
    while others keep all of the backend's threads busy; on a single CPU they would only take
    turns, and all be done late.

    Args:
        cpus: those this process may use.
        threads: how many compute one image; None is as many as there are CPUs.
        performance: what the backend is asked for.
    """
    if performance == "throughput":
        return cpus
    return min(cpus, cpus // (threads or cpus) + 1)


class Gate:
    """Bounds work in two steps: `admit` counts requests, `turn` queues them for the CPU.

    Args:
        concurrency: images decoded and inferred at the same time.
        queue: admitted requests that may wait beyond those.

    Attributes:
        capacity: both together.
    """

    def __init__(self, *, concurrency: int, queue: int) -> None:
        self.capacity = concurrency + queue
        self._turns = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._inside = 0

    @property
    def inside(self) -> int:
        """Requests inside at this moment."""
        return self._inside

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count one request in, and out again.

        Raises:
            Overloaded: the gate is full.
        """
        with self._lock:
            if self._inside >= self.capacity:
                raise Overloaded(
                    f"{self.capacity} requests are being served or waiting, which is the limit; "
                    "retry later, or raise ROOKERY_QUEUE or ROOKERY_CONCURRENCY"
                )
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the CPU, in no promised order."""
        with self._turns:
            yield
