"""One thread that says when retries are due, however many there are."""

import logging
import threading
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from rookery.errors import JournalUnavailable

logger = logging.getLogger(__name__)

_PAUSE: Final = 1.0

K = TypeVar("K", bound=Hashable)


class Alarm(Generic[K]):
    """Rings for a key when its earliest time has come; remembers one time per key."""

    def __init__(self, now: Callable[[], float], ring: Callable[[K, float], float | None]) -> None:
        """Start the thread.

        Args:
            now: the time, as it is given to `set`.
            ring: called with a key and the time it is now; returns the key's next time after
                that, or None.
        """
        self._now = now
        self._ring = ring
        self._times: dict[K, float] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="broker-alarm", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def set(self, key: K, at: float) -> None:
        """Ring for *key* at the time *at*, unless an earlier one is set."""
        with self._changed:
            if at < self._times.get(key, float("inf")):
                self._times[key] = at
                self._changed.notify()

    def stop(self) -> None:
        """Stop the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                now = self._now()
                due = [key for key, at in self._times.items() if at <= now]
                if self._stopped:
                    return
                if not due:
                    self._changed.wait(min(self._times.values()) - now if self._times else None)
                    continue
                for key in due:
                    del self._times[key]
            for key in due:
                self._ring_for(key, now)

    def _ring_for(self, key: K, now: float) -> None:
        try:
            following = self._ring(key, now)
        except JournalUnavailable as exc:
            logger.warning("retries wait: %s", exc)
            following = now + exc.retry_after
        except Exception:
            # A bug: without this thread nothing would be tried again.
            logger.exception("retries of %s wait", key)
            following = now + _PAUSE
        if following is not None:
            self.set(key, following)
