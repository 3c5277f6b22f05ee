"""Dispatch: every trigger's deliveries, at least once, side by side with every other trigger's."""

import math
import threading
import time
from collections.abc import Mapping
from typing import Final

from rookery.events.broker import reading
from rookery.events.broker.alarm import Alarm
from rookery.events.broker.database import DEAD_LETTERING, PENDING
from rookery.events.broker.lane import Lane
from rookery.events.broker.patience import Patience
from rookery.events.broker.reading import Item
from rookery.events.broker.settling import Settler
from rookery.events.broker.trigger import Trigger
from rookery.events.broker.worker import Key, Tools, Worker

_SINK_WORKERS: Final = 4
# What has been delivered is written down even if the attempts in flight took all the time.
_LAST_SETTLING: Final = 1.0
# So many failures in a row a patient trigger with few workers takes for chance.
_CHANCE: Final = 4


class Dispatcher:
    """The lanes and workers of all triggers."""

    def __init__(self, tools: Tools) -> None:
        """Prepare the lanes; `start` starts the workers."""
        self._tools = tools
        self._lanes: dict[Key, Lane] = {}
        self._threads: list[threading.Thread] = []
        self._patiences: list[Patience] = []
        for trigger in tools.triggers:
            self._lanes[trigger.name, PENDING] = self._lane(trigger, PENDING)
            if trigger.delivery.dead_letter is not None:
                self._lanes[trigger.name, DEAD_LETTERING] = self._lane(trigger, DEAD_LETTERING)
        self._alarm: Alarm[Key] = Alarm(tools.journal.clock.now, self._ring)
        self._settler = Settler(tools.journal, tools.metrics, tools.stopping)

    @property
    def alive(self) -> bool:
        """Whether no thread has died of a bug."""
        threads = (self._alarm, self._settler)
        return all(each.alive for each in threads) and all(t.is_alive() for t in self._threads)

    def start(self) -> None:
        """Take up what the journal holds, and listen for more."""
        self._tools.journal.listen(self._wake)
        triggers = {trigger.name: trigger for trigger in self._tools.triggers}
        for (name, state), lane in self._lanes.items():
            trigger = triggers[name]
            self._alarm.set((name, state), 0.0)
            workers = trigger.concurrency if state == PENDING else _SINK_WORKERS
            tolerance = max(workers, _CHANCE) if trigger.delivery.patient else math.inf
            patience = Patience(f"the subscriber of trigger {name}", tolerance)
            self._patiences.append(patience)
            for number in range(workers):
                worker = Worker(
                    self._tools,
                    trigger,
                    state,
                    lane,
                    alarm=self._alarm,
                    settler=self._settler,
                    patience=patience,
                )
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
        for patience in self._patiences:
            patience.stop()

    def stop(self, seconds: float) -> None:
        """Drain, and give attempts in flight so many *seconds* to finish.

        What is not finished then stays in the journal, and is delivered after the next start.
        """
        deadline = time.monotonic() + seconds
        self.drain()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._settler.stop(max(_LAST_SETTLING, deadline - time.monotonic()))
        self._alarm.stop()

    def _lane(self, trigger: Trigger, state: int) -> Lane:
        journal, name = self._tools.journal, trigger.name

        def in_order(limit: int) -> list[Item]:
            return journal.ask(reading.in_order, name, state, limit)

        def due(limit: int) -> list[Item]:
            return journal.ask(reading.due, name, state, journal.clock.now(), limit)

        return Lane(
            in_order if trigger.ordered and state == PENDING else due,
            lambda items: journal.ask(reading.with_events, items) if items else items,
        )

    def _wake(self, queued: Mapping[Key, int]) -> None:
        for key, count in queued.items():
            if (lane := self._lanes.get(key)) is not None:
                lane.wake(count)

    def _ring(self, key: Key, now: float) -> float | None:
        # Ask first: a delivery that becomes due while the workers look must not fall between.
        following = self._tools.journal.ask(reading.next_due, *key, now)
        self._lanes[key].wake(len(self._threads))
        return following
