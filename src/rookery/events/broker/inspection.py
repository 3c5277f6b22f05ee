"""What the broker tells about itself, and replay."""

import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rookery.credentials import shown
from rookery.errors import Overloaded, RequestInvalid
from rookery.events.broker import hops, reading
from rookery.events.broker.changes import Requeue
from rookery.events.broker.database import DEAD, DEAD_LETTERING, PENDING
from rookery.events.broker.deadletters import DeadLetters
from rookery.events.broker.exchange import (
    AFTER_HEADER,
    NDJSON,
    Response,
    answer,
    answer_json,
    query_of,
    timestamp_of,
)
from rookery.events.broker.journal import Journal
from rookery.events.broker.trigger import Trigger
from rookery.events.wire import to_document

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_LIMIT: Final = 1000
MAX_WAIT: Final = 60.0
_WAITING_PAUSE: Final = 0.002
_PAGE_BYTES: Final = 8 * 1024 * 1024
_REPLAY_PAGE: Final = 500

_EVENTS: Final = frozenset({"after", "type", "source", "subject", "limit", "wait"})
_REPLAY: Final = frozenset({"trigger", "after", "since", "deadletters", "id"})


class Inspection:
    """Answers everything that is not an event coming in.

    Attributes:
        dead_letters: what it knows about them.
    """

    def __init__(
        self,
        journal: Journal,
        triggers: Sequence[Trigger],
        stopping: threading.Event,
        *,
        max_waiting: int,
    ) -> None:
        """Answer about *journal* and *triggers*.

        Args:
            journal: what is asked.
            triggers: those that are configured.
            stopping: ends every wait once it is set.
            max_waiting: requests that may wait for events at the same time; each holds a
                thread of the server, and ingress needs some.
        """
        self._journal = journal
        self._triggers = {trigger.name: trigger for trigger in triggers}
        self.dead_letters = DeadLetters(journal, self._triggers)
        self._stopping = stopping
        self._places = threading.BoundedSemaphore(max_waiting)

    def events(self, environ: "WSGIEnvironment") -> Response:
        """Answer `GET /events`: events after an offset, one JSON object a line.

        Raises:
            RequestInvalid: a query field cannot be used.
            Overloaded: too many requests wait already.
        """
        fields = query_of(environ, _EVENTS)
        after = fields.get("after", "0")
        offset = self._journal.head if after == "now" else _whole(fields, "after", 0)
        limit = min(_whole(fields, "limit", MAX_LIMIT), MAX_LIMIT)
        wait = min(_seconds(fields, "wait"), MAX_WAIT)
        query = reading.Query(fields.get("type", ""), fields.get("source"), fields.get("subject"))
        page = self._page(offset, query, limit)
        if not page.events and limit and wait > 0:
            page = self._wait(page.last, query, limit, wait)
        lines = b"".join(
            _line({"offset": each, "event": to_document(hops.leave(event))})
            for each, event in page.events
        )
        return answer(lines, NDJSON, headers={AFTER_HEADER: str(page.last)})

    def triggers(self) -> Response:
        """Answer `GET /triggers`: the triggers, and how many deliveries each waits for."""
        counts = self._journal.ask(reading.counts)
        names = sorted(self._triggers.keys() | {name for name, _ in counts})
        return answer_json({"triggers": [self._trigger(name, counts) for name in names]})

    def replay(self, environ: "WSGIEnvironment") -> Response:
        """Answer `POST /replay`: deliver journalled events, or named dead letters, again.

        Raises:
            RequestInvalid: no such trigger, or not exactly one of after, since, deadletters; or
                not the id of dead letters, alone.
        """
        fields = query_of(environ, _REPLAY)
        if "id" in fields:
            if len(fields) > 1:
                raise RequestInvalid("give id=ID alone: it names the trigger")
            return self.dead_letters.retry(fields["id"])
        trigger = self._triggers.get(fields.pop("trigger", ""))
        if trigger is None:
            known = ", ".join(sorted(self._triggers)) or "none"
            raise RequestInvalid(f"trigger must name one of the triggers: {known}")
        if len(fields) != 1:
            raise RequestInvalid(
                "give exactly one of after=OFFSET, since=TIME, deadletters=true; or id=ID alone"
            )
        if "deadletters" in fields:
            if fields["deadletters"] != "true":
                raise RequestInvalid("deadletters must be true")
            queued = self.dead_letters.retry_all(trigger)
        elif "since" in fields:
            since = timestamp_of(fields["since"])
            queued = self._requeue(trigger, self._journal.ask(reading.received_after, since))
        else:
            queued = self._requeue(trigger, _whole(fields, "after", 0))
        return answer_json({"queued": queued})

    def _page(self, after: int, query: reading.Query, limit: int) -> reading.Page:
        return self._journal.ask(
            reading.events_after,
            after,
            query,
            reading.Bounds(self._journal.head, limit, _PAGE_BYTES),
        )

    def _wait(self, after: int, query: reading.Query, limit: int, seconds: float) -> reading.Page:
        if not self._places.acquire(blocking=False):
            raise Overloaded("too many requests wait for events already; ask again, or with wait=0")
        clock = self._journal.clock
        deadline = clock.now() + seconds
        try:
            page = reading.Page((), after)
            while not page.events and (left := deadline - clock.now()) > 0:
                if not self._journal.wait_beyond(page.last, left, self._stopping):
                    break
                page = self._page(page.last, query, limit)
                if page.events:
                    break
                # A reader of rare events must not look at every single commit of others.
                if self._stopping.wait(_WAITING_PAUSE):
                    break
            return page
        finally:
            self._places.release()

    def _requeue(self, trigger: Trigger, after: int) -> int:
        queued, head = 0, self._journal.head  # replies of the replay itself are not replayed
        while after < head:
            page = self._journal.ask(
                reading.events_after,
                after,
                reading.Query(),
                reading.Bounds(head, _REPLAY_PAGE, _PAGE_BYTES),
            )
            offsets = tuple(
                each for each, event in page.events if trigger.filter.matches(event.attributes())
            )
            if offsets:
                queued += self._journal.make(Requeue(trigger.name, offsets))
            after = page.last
        return queued

    def _trigger(self, name: str, counts: dict[tuple[str, int], int]) -> dict[str, object]:
        trigger = self._triggers.get(name)
        sink = trigger.delivery.dead_letter if trigger else None
        return {
            "name": name,
            "configured": trigger is not None,
            "subscriber": shown(trigger.subscriber) if trigger else None,
            "deadLetterSink": shown(sink) if sink else None,
            "ordered": trigger.ordered if trigger else None,
            "concurrency": trigger.concurrency if trigger else None,
            "filter": trigger.filter.document() if trigger else None,
            "pending": counts.get((name, PENDING), 0) + counts.get((name, DEAD_LETTERING), 0),
            "dead": counts.get((name, DEAD), 0),
        }


def _line(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _whole(fields: dict[str, str], name: str, default: int) -> int:
    value = fields.get(name, str(default))
    if not (value.isascii() and value.isdecimal() and len(value) <= 18):  # noqa: PLR2004 - int64
        raise RequestInvalid(f"{name} must be a whole number from 0, not {value!r}")
    return int(value)


def _seconds(fields: dict[str, str], name: str) -> float:
    value = fields.get(name, "0")
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:  # also catches NaN
        raise RequestInvalid(f"{name} must be a number of seconds, not {value!r}")
    return seconds
