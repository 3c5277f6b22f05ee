"""A window over a ledger that processes share: one computes, the others wait for its result."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from rookery.dedup.ledger import LEASE_SECONDS, Ledger, Standing
from rookery.errors import DedupUnavailable, EventInvalid
from rookery.events.flights import Answered, Flights
from rookery.events.wire import STRUCTURED, CloudEvent, from_http, to_structured
from rookery.link import Link

_log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_RESULT_BYTES: Final = 128 * 1024
"""A longer result is not remembered. What functions send stays below 64 KiB."""
_RENEWALS_PER_LEASE: Final = 3
# A computation that hangs must not hold up other replicas for ever.
_LONGEST_SECONDS: Final = 60.0
# One event that waits for a store that hangs is enough; the others go on without it.
_REST_SECONDS: Final = 2.0
_SHORTEST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.1


class SharedWindow:
    """A `Dedup` that outlives this process and is shared with others.

    At worst something is computed twice: when the ledger is down, forgets, or a lease ends too
    early. Results and their ids are the same each time, so that is harmless.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        name: str,
        scope: str,
        lease_seconds: float = LEASE_SECONDS,
        on_skipped: Callable[[], None] = lambda: None,
    ) -> None:
        """Share what *ledger* knows; `close` it in the end.

        Args:
            ledger: whose leases are *lease_seconds* long.
            name: what the log calls the store; no secrets.
            scope: what results depend on besides the key, such as the model: windows of
                different scopes share nothing.
            lease_seconds: claims are renewed several times in that time while work goes on.
            on_skipped: called for each key that was computed without asking the ledger.
        """
        self._ledger = ledger
        self._scope = scope
        self._on_skipped = on_skipped
        self._flights = Flights()
        self._link = Link(f"the dedup store {name}")
        self._rests_until = 0.0
        self._claimed: dict[str, float] = {}
        self._renewing = threading.Lock()
        self._closed = threading.Event()
        self._pause = lease_seconds / _RENEWALS_PER_LEASE
        self._longest_wait = _LONGEST_SECONDS + 2 * lease_seconds
        self._keeper = threading.Thread(target=self._keep, name="dedup-leases", daemon=True)
        self._keeper.start()

    def run(self, key: str, compute: Callable[[], CloudEvent]) -> Answered:
        """Return the result for *key*, and whether it is a repeat."""
        scoped = f"{self._scope}:{key}"
        return self._flights.share(scoped, lambda: self._answer(scoped, compute))

    def close(self) -> None:
        """Renew nothing more, and close the ledger."""
        self._closed.set()
        self._keeper.join()
        self._ledger.close()

    def _answer(self, key: str, compute: Callable[[], CloudEvent]) -> Answered:
        try:
            remembered = self._claim(key)
        except DedupUnavailable:
            self._on_skipped()
            return compute(), False
        if remembered is not None:
            return remembered, True
        result = None
        try:
            with self._renewed(key):
                result = compute()
        finally:
            self._settle(key, result)
        return result, False

    def _claim(self, key: str) -> CloudEvent | None:
        """Return the result for *key*, or None when it is for us to compute it."""
        deadline = time.monotonic() + self._longest_wait
        pause = _SHORTEST_PAUSE
        while time.monotonic() < deadline:
            found = self._ask(lambda: self._ledger.claim(key))
            if isinstance(found, bytes):
                return _read(found)
            if found is Standing.MINE or self._closed.wait(pause):
                return None
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    def _settle(self, key: str, result: CloudEvent | None) -> None:
        written = None if result is None else to_structured(result)[1]
        if written is not None and len(written) > MAX_RESULT_BYTES:
            written = None
        try:
            self._ask(lambda: self._ledger.settle(key, written))
        except DedupUnavailable as exc:
            _log.debug("%s was not remembered: %s", key, exc)

    def _ask(self, question: Callable[[], T]) -> T:
        """Ask the ledger, unless it has only just failed.

        Raises:
            DedupUnavailable: it fails, or rests.
        """
        if time.monotonic() < self._rests_until:
            raise DedupUnavailable("it failed a moment ago")
        try:
            answer = question()
        except DedupUnavailable as exc:
            self._rests_until = time.monotonic() + _REST_SECONDS
            self._link.down(f"{exc}; repeats are computed again meanwhile")
            raise
        self._link.up()
        return answer

    @contextmanager
    def _renewed(self, key: str) -> Iterator[None]:
        self._claimed[key] = time.monotonic()
        try:
            yield
        finally:
            # Not while it is being renewed: a claim made after the end would hold up others.
            with self._renewing:
                del self._claimed[key]

    def _keep(self) -> None:
        while not self._closed.wait(self._pause):
            for key, since in self._claimed.copy().items():
                if time.monotonic() - since < _LONGEST_SECONDS:
                    self._renew(key)

    def _renew(self, key: str) -> None:
        with self._renewing:
            if key not in self._claimed:
                return
            try:
                self._ask(lambda: self._ledger.claim(key))
            except DedupUnavailable as exc:
                _log.debug("the claim on %s was not renewed: %s", key, exc)


def _read(written: bytes) -> CloudEvent | None:
    """Return the event, or None for what we did not write: it is computed anew."""
    try:
        (event,) = from_http({"Content-Type": STRUCTURED}, written)
    except EventInvalid as exc:
        _log.warning("a remembered result cannot be read, and is computed again: %s", exc)
        return None
    return event
