"""The threads that run the application: as many as have been needed at once, up to a bound."""

from threading import Lock

from waitress.task import Task, ThreadedTaskDispatcher


class Workers(ThreadedTaskDispatcher):  # type: ignore[misc]
    """waitress's pool, grown by what is asked of it.

    A thread costs a fraction of a millisecond and a stack: dozens of them at once are a good part
    of the time in which a snapshot wakes, and most processes never need them.
    """

    def __init__(self, most: int) -> None:
        """Start no thread yet, and never more than *most*."""
        super().__init__()
        self._most = most
        self._growing = Lock()

    def add_task(self, task: Task) -> None:
        """Run *task* on an idle thread, on a new one, or when one is free."""
        with self._growing:  # workers add tasks, too
            with self.lock:
                running = len(self.threads) - self.stop_count
                idle = running - self.active_count
                missing = len(self.queue) + 1 - idle
            if missing > 0 and running < self._most:
                self.set_thread_count(min(self._most, running + missing))
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:  # noqa: FBT001, FBT002 - waitress's signature
        """End every thread, and start no other."""
        self._most = 0
        ended: bool = super().shutdown(cancel_pending, timeout)
        return ended
