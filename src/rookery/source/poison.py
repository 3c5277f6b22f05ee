"""What cannot be read as a notification: refused, or taken in as a dead letter."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Literal

from rookery.errors import Rejected
from rookery.events.result import deadletter
from rookery.events.timestamp import now
from rookery.events.wire import CloudEvent, from_http, is_event
from rookery.source.notification import MAX_RECORDS, events_of

_log = logging.getLogger(__name__)

OnPoison = Literal["reject", "ack-and-deadletter"]
"""`reject` answers 4xx; `ack-and-deadletter` answers 2xx and keeps the body in a dead letter."""

_QUIET_SECONDS: Final = 10.0


class Reader:
    """Reads messages of notifications; poison is no reason for a sender to come back for ever."""

    def __init__(self, on_poison: OnPoison, *, source: str, count: Callable[[str], None]) -> None:
        """Treat poison as *on_poison* says.

        Args:
            on_poison: what becomes of it.
            source: names us in dead letters.
            count: called with the error's code for each that becomes a dead letter.
        """
        self._on_poison = on_poison
        self._source = source
        self._count = count
        self._quiet_until = 0.0
        self._unsaid = 0
        self._saying = threading.Lock()

    def read(self, headers: Mapping[str, str], body: bytes) -> tuple[CloudEvent, ...]:
        """Return one event for every object, or a dead letter.

        Raises:
            Rejected: it is poison, and that is rejected.
        """
        try:
            return events_of(headers, body)
        except Rejected as exc:
            if self._on_poison == "reject":
                raise
            self._count(exc.code)
            self._say(exc)
            return (deadletter(exc, _original(headers, body), source=self._source, time=now()),)

    def _say(self, error: Rejected) -> None:
        # Some sender's endless supply of garbage must not fill the disk with log lines.
        with self._saying:
            if time.monotonic() < self._quiet_until:
                self._unsaid += 1
                return
            unsaid, self._unsaid = self._unsaid, 0
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
        _log.warning("dead letter: %s: %s (%d more since the last line)", error.code, error, unsaid)


def _original(headers: Mapping[str, str], body: bytes) -> CloudEvent | bytes:
    """Return the event where there is a readable one, for its attributes; else the body."""
    if is_event(headers):
        with suppress(Rejected):
            events = from_http(headers, body, max_events=MAX_RECORDS)
            if len(events) == 1:
                return events[0]
    return body
