"""A worker: takes one delivery after the other from a lane, and sees to what becomes of it."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from rookery.credentials import shown
from rookery.delivery.transport import Transport
from rookery.errors import JournalUnavailable
from rookery.events.broker import hops, reading
from rookery.events.broker.alarm import Alarm
from rookery.events.broker.changes import Append, Change, Postpone, Settle
from rookery.events.broker.database import DEAD, DEAD_LETTERING, PENDING
from rookery.events.broker.deadletter import dead_letter
from rookery.events.broker.entry import Entry, entry
from rookery.events.broker.journal import Journal
from rookery.events.broker.lane import Lane
from rookery.events.broker.metrics import Metrics
from rookery.events.broker.outcome import Delivered, Failed, judge
from rookery.events.broker.patience import Patience
from rookery.events.broker.reading import Item
from rookery.events.broker.retrying import after_failure
from rookery.events.broker.settling import Done, Settler
from rookery.events.broker.trigger import Trigger
from rookery.events.wire import CloudEvent, to_binary, to_structured

logger = logging.getLogger(__name__)

_JOURNAL_PAUSE: Final = 1.0
_SERVER_ERROR: Final = 500

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Tools:
    """What every worker shares."""

    journal: Journal
    triggers: Sequence[Trigger]
    transport: Transport
    metrics: Metrics
    stopping: threading.Event


class Worker:
    """Delivers one event after the other from its lane."""

    def __init__(  # noqa: PLR0913
        self,
        tools: Tools,
        trigger: Trigger,
        state: int,
        lane: Lane,
        *,
        alarm: Alarm[Key],
        settler: Settler,
        patience: Patience,
    ) -> None:
        self._tools = tools
        self._journal = tools.journal
        self._trigger = trigger
        self._state = state
        self._lane = lane
        self._alarm = alarm
        self._settler = settler
        self._patience = patience
        self._sink = trigger.delivery.dead_letter if state == DEAD_LETTERING else None
        # A sink takes letters; what it says about them is no event of ours.
        self._replies = trigger.delivery.replies and self._sink is None
        self._metrics = tools.metrics
        self._seconds = tools.metrics.seconds.labels(trigger.name)
        done = tools.metrics.delivered if self._sink is None else tools.metrics.dead_lettered
        self._done = done.labels(trigger.name)

    def run(self) -> None:
        """Work until the lane is stopped."""
        while not self._tools.stopping.is_set():
            try:
                item = self._lane.take()
                while item is not None:
                    item = self._attempt(item)
            except JournalUnavailable as exc:
                logger.warning("trigger %s waits: %s", self._trigger.name, exc)
                self._rest()
            except Exception:
                # A bug: with this thread would go one of the few that deliver.
                logger.exception("trigger %s tries again", self._trigger.name)
                self._rest()

    def _rest(self) -> None:
        self._tools.stopping.wait(_JOURNAL_PAUSE)
        self._lane.wake(0)

    def _attempt(self, item: Item) -> Item | None:
        """Try to deliver; return what an ordered trigger must deliver before anything else."""
        kept = False
        try:
            if self._trigger.ordered and self._state == PENDING:
                early = item.next_at - self._journal.clock.now()
                if early > 0 and self._tools.stopping.wait(early):
                    return None
            event = item.event or self._journal.ask(reading.event_at, item.offset)
            if event is None:
                self._record(Settle(self._trigger.name, item.offset))
                return None
            passed = self._patience.enter()
            if passed is None:
                return None
            outcome, entries = self._try(event, item)
            self._patience.note(outcome, passed)
            if isinstance(outcome, Failed):
                following = self._fail(item, event, outcome)
                kept = following is not None
                return following
            kept = True
            change = Settle(self._trigger.name, item.offset, entries)
            self._settler.settle(Done(self._lane, item, change, self._done))
            return None
        finally:
            if not kept:
                self._lane.give_back(item)

    def _try(self, event: CloudEvent, item: Item) -> tuple[Delivered | Failed, tuple[Entry, ...]]:
        """Deliver *event*; return the outcome, and the replies as they are to be journalled."""
        try:
            outcome = self._deliver(event, item)
            replies = outcome.replies if isinstance(outcome, Delivered) else ()
            return outcome, tuple(self._entries(event, replies))
        except Exception as exc:
            # A bug, which this subscriber's next answer may well not meet: it counts as a failure,
            # so that it ends as a dead letter and not as one attempt after the other.
            name = self._trigger.name
            logger.exception("trigger %s: event %r of %r", name, event.id, event.source)
            reason = f"the broker failed: {type(exc).__name__}; see its log"
            return Failed(_SERVER_ERROR, reason, reason.encode()), ()

    def _deliver(self, event: CloudEvent, item: Item) -> Delivered | Failed:
        outgoing, url = hops.leave(event), self._trigger.subscriber
        if self._sink is not None:
            outgoing = dead_letter(
                outgoing, destination=shown(url), code=item.code, data=item.answer
            )
            url = self._sink
        write = to_structured if self._trigger.delivery.structured else to_binary
        headers, body = write(outgoing)
        if self._replies:
            headers["Prefer"] = "reply"
        start = time.perf_counter()
        answer = self._tools.transport.post(
            url, headers, body, self._trigger.delivery.timeout, whole=self._replies
        )
        self._seconds.observe(time.perf_counter() - start)
        outcome = judge(answer, datetime.now(UTC), replies=self._replies)
        if isinstance(outcome, Delivered):
            return outcome
        hide = self._tools.transport.hide
        reason = hide(outcome.reason.encode(errors="replace"), url).decode()
        return replace(outcome, reason=reason, body=hide(outcome.body, url))

    def _entries(self, event: CloudEvent, replies: Sequence[CloudEvent]) -> Iterator[Entry]:
        for reply in replies:
            entering = hops.enter_reply(reply, event)
            if entering is None:
                self._metrics.dropped.inc()
                logger.warning(
                    "dropped a reply of %s to event %r of %r: its hops are used up, so this is "
                    "a loop; make the filter of trigger %s pass fewer types",
                    shown(self._trigger.subscriber), event.id, event.source, self._trigger.name,
                )  # fmt: skip
            else:
                yield entry(entering, self._tools.triggers)

    def _fail(self, item: Item, event: CloudEvent, failed: Failed) -> Item | None:
        now = self._journal.clock.now()
        change = after_failure(self._trigger, item, self._state, failed, now)
        if change.state == DEAD and not self._give_notice(event, change.reason):
            return None
        if not self._record(change):
            return None
        name = self._trigger.name
        if change.state == self._state:
            self._metrics.retried.labels(name).inc()
            if self._trigger.ordered and self._state == PENDING:
                return _following(change)
            self._alarm.set((name, self._state), change.next_at)
            return None
        if change.state == DEAD:
            self._metrics.dead.labels(name).inc()
        logger.warning(
            "trigger %s gives up event %r of %r: %s", name, event.id, event.source, change.reason
        )
        return None

    def _give_notice(self, event: CloudEvent, reason: str) -> bool:
        """Journal the notice of the death of *event*, before that; False when the broker stops."""
        make = self._trigger.delivery.notice
        notice = make(hops.leave(event), reason) if make else None
        entering = hops.enter(notice) if notice else None
        if entering is None:
            return True
        return self._record(Append((entry(entering, self._tools.triggers),)))

    def _record(self, change: Change) -> bool:
        """Make *change* durable, however long that takes; False when the broker stops first."""
        while True:
            try:
                self._journal.make(change)
            except JournalUnavailable:
                # Undone, it would be delivered once more: worth some patience.
                if self._tools.stopping.wait(_JOURNAL_PAUSE):
                    return False
            else:
                return True


def _following(change: Postpone) -> Item:
    return Item(
        change.offset, change.attempts, change.next_at, change.code, change.reason, change.answer
    )
