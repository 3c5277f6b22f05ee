"""Dispatch: every trigger's deliveries, at least once, side by side with every other trigger's."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from rookery.errors import JournalUnavailable
from rookery.events.broker import hops, reading
from rookery.events.broker.alarm import Alarm
from rookery.events.broker.changes import Change, Postpone, Settle
from rookery.events.broker.database import DEAD, DEAD_LETTERING, PENDING
from rookery.events.broker.deadletter import dead_letter
from rookery.events.broker.entry import Entry, entry
from rookery.events.broker.journal import Journal
from rookery.events.broker.lane import Lane
from rookery.events.broker.metrics import Metrics
from rookery.events.broker.outcome import Delivered, Failed, NoAnswer, judge
from rookery.events.broker.reading import Item
from rookery.events.broker.retrying import after_failure
from rookery.events.broker.transport import Transport
from rookery.events.broker.trigger import Trigger
from rookery.events.wire import CloudEvent, to_binary, to_structured

logger = logging.getLogger(__name__)

_SINK_WORKERS: Final = 4
_JOURNAL_PAUSE: Final = 1.0

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Tools:
    """What every worker shares."""

    journal: Journal
    triggers: Sequence[Trigger]
    transport: Transport
    metrics: Metrics
    stopping: threading.Event


class Dispatcher:
    """The lanes and workers of all triggers."""

    def __init__(self, tools: Tools) -> None:
        """Prepare the lanes; `start` starts the workers."""
        self._tools = tools
        self._lanes: dict[Key, Lane] = {}
        self._threads: list[threading.Thread] = []
        for trigger in tools.triggers:
            self._lanes[trigger.name, PENDING] = self._lane(trigger, PENDING)
            if trigger.delivery.dead_letter is not None:
                self._lanes[trigger.name, DEAD_LETTERING] = self._lane(trigger, DEAD_LETTERING)
        self._alarm: Alarm[Key] = Alarm(tools.journal.clock.now, self._ring)

    @property
    def alive(self) -> bool:
        """Whether no thread has died of a bug."""
        return self._alarm.alive and all(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Take up what the journal holds, and listen for more."""
        self._tools.journal.listen(self._wake)
        triggers = {trigger.name: trigger for trigger in self._tools.triggers}
        for (name, state), lane in self._lanes.items():
            trigger = triggers[name]
            self._alarm.set((name, state), 0.0)
            workers = trigger.concurrency if state == PENDING else _SINK_WORKERS
            for number in range(workers):
                worker = _Worker(self._tools, trigger, state, lane, self._alarm)
                thread = threading.Thread(
                    target=worker.run, name=f"broker-{name}-{state}-{number}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def drain(self) -> None:
        """Take up nothing more."""
        self._tools.stopping.set()
        for lane in self._lanes.values():
            lane.stop()

    def stop(self, seconds: float) -> None:
        """Drain, and give attempts in flight so many *seconds* to finish.

        What is not finished then stays in the journal, and is delivered after the next start.
        """
        deadline = time.monotonic() + seconds
        self.drain()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._alarm.stop()

    def _lane(self, trigger: Trigger, state: int) -> Lane:
        journal, name = self._tools.journal, trigger.name
        if trigger.ordered and state == PENDING:
            return Lane(lambda limit: journal.ask(reading.in_order, name, state, limit))
        return Lane(lambda limit: journal.ask(reading.due, name, state, journal.clock.now(), limit))

    def _wake(self, queued: Mapping[Key, int]) -> None:
        for key, count in queued.items():
            if (lane := self._lanes.get(key)) is not None:
                lane.wake(count)

    def _ring(self, key: Key, now: float) -> float | None:
        # Ask first: a delivery that becomes due while the workers look must not fall between.
        following = self._tools.journal.ask(reading.next_due, *key, now)
        self._lanes[key].wake(len(self._threads))
        return following


class _Worker:
    """Delivers one event after the other from its lane."""

    def __init__(
        self, tools: Tools, trigger: Trigger, state: int, lane: Lane, alarm: Alarm[Key]
    ) -> None:
        self._tools = tools
        self._journal = tools.journal
        self._trigger = trigger
        self._state = state
        self._lane = lane
        self._alarm = alarm
        self._sink = trigger.delivery.dead_letter if state == DEAD_LETTERING else None
        self._metrics = tools.metrics
        self._seconds = tools.metrics.seconds.labels(trigger.name)

    def run(self) -> None:
        """Work until the lane is stopped."""
        while not self._tools.stopping.is_set():
            try:
                item = self._lane.take()
                while item is not None:
                    item = self._attempt(item)
            except JournalUnavailable as exc:
                logger.warning("trigger %s waits: %s", self._trigger.name, exc)
                self._tools.stopping.wait(_JOURNAL_PAUSE)
                self._lane.wake(0)

    def _attempt(self, item: Item) -> Item | None:
        """Try to deliver; return what an ordered trigger must deliver before anything else."""
        with self._returned(item):
            if self._trigger.ordered and self._state == PENDING:
                early = item.next_at - self._journal.clock.now()
                if early > 0 and self._tools.stopping.wait(early):
                    return None
            event = self._journal.ask(reading.event_at, item.offset)
            if event is None:
                self._record(Settle(self._trigger.name, item.offset))
                return None
            outcome = self._deliver(event, item)
            if isinstance(outcome, Delivered):
                self._settle(item, tuple(self._entries(event, outcome.replies)))
                return None
            return self._fail(item, event, outcome)

    @contextmanager
    def _returned(self, item: Item) -> Iterator[None]:
        try:
            yield
        finally:
            self._lane.give_back(item)

    def _deliver(self, event: CloudEvent, item: Item) -> Delivered | Failed:
        outgoing, url = hops.leave(event), self._trigger.subscriber
        if self._sink is not None:
            outgoing = dead_letter(outgoing, destination=url, code=item.code, data=item.answer)
            url = self._sink
        write = to_structured if self._trigger.delivery.structured else to_binary
        headers, body = write(outgoing)
        if self._sink is None:
            headers["Prefer"] = "reply"
        start = time.perf_counter()
        answer = self._tools.transport.post(url, headers, body, self._trigger.delivery.timeout)
        self._seconds.observe(time.perf_counter() - start)
        if self._sink is not None and not isinstance(answer, NoAnswer):
            # A sink takes letters; what it says about them is no event of ours.
            answer = replace(answer, headers={}, body=b"")
        return judge(answer, datetime.now(UTC))

    def _settle(self, item: Item, entries: tuple[Entry, ...]) -> None:
        name = self._trigger.name
        self._record(Settle(name, item.offset, entries))
        done = self._metrics.delivered if self._sink is None else self._metrics.dead_lettered
        done.labels(name).inc()
        if entries:
            self._metrics.replies.labels(name).inc(len(entries))

    def _entries(self, event: CloudEvent, replies: Sequence[CloudEvent]) -> Iterator[Entry]:
        for reply in replies:
            entering = hops.enter_reply(reply, event)
            if entering is None:
                self._metrics.dropped.inc()
                logger.warning(
                    "dropped a reply of %s to event %r of %r: its hops are used up, so this is "
                    "a loop; make the filter of trigger %s pass fewer types",
                    self._trigger.subscriber, event.id, event.source, self._trigger.name,
                )  # fmt: skip
            else:
                yield entry(entering, self._tools.triggers)

    def _fail(self, item: Item, event: CloudEvent, failed: Failed) -> Item | None:
        now = self._journal.clock.now()
        change = after_failure(self._trigger, item, self._state, failed, now)
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
