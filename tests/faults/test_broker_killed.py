"""Kill -9 of the broker, again and again, while events come in and go out."""

import sqlite3
import threading
from collections import Counter

import pytest

from broker_processes import made, trigger
from rookery.events.wire import to_binary

KILLS = 50
PRODUCERS = 3

pytestmark = pytest.mark.end_to_end


def reply(event):
    headers, body = to_binary(made(f"re:{event.id}", "test.answered"))
    return 200, headers, body


class Producer(threading.Thread):
    """Posts one event after the other, each until it is acknowledged, and some once more."""

    def __init__(self, number, broker, luck, ended):
        super().__init__(daemon=True)
        self.acknowledged = []
        self.posts = 0
        self._number, self._broker, self._luck, self._ended = number, broker, luck, ended

    def run(self):
        count = 0
        while not self._ended.is_set():
            event = made(f"{self._number}-{count}")
            while self._post(event) != 202:
                self._ended.wait(0.05)  # down; an event is never given up, also at the end
            self.acknowledged.append(event.id)
            if self._luck.random() < 0.05:
                self._post(made(self._luck.choice(self.acknowledged)))
            count += 1

    def _post(self, event):
        self.posts += 1
        return self._broker.post(event)


@pytest.mark.timeout(300)
def test_50_times_kill_9_loses_nothing_and_takes_nothing_in_twice(broker, subscribe, luck, capsys):
    asked, told = subscribe(reply), subscribe()
    killed = broker(
        trigger("asked", asked.url, backoffDelay="PT0.05S"),
        trigger("told", told.url, "test.answered", backoffDelay="PT0.05S"),
    )
    killed.start()
    stop = threading.Event()
    producers = [Producer(number, killed, luck, stop) for number in range(PRODUCERS)]
    for producer in producers:
        producer.start()
    for _ in range(KILLS):
        if luck.random() < 0.25:
            stop.wait(luck.uniform(0, 0.5))  # perhaps while it starts
        else:
            killed.wait_until(lambda: killed.status("/health/liveness") == 200, "a start")
            stop.wait(luck.uniform(0, 0.3))
        killed.kill()
        killed.spawn()
    killed.wait_until(lambda: killed.status("/health/liveness") == 200, "the last start")
    stop.set()
    for producer in producers:
        producer.join(60)
    killed.until_settled()

    acknowledged = [id_ for producer in producers for id_ in producer.acknowledged]
    journal = Counter(each["id"] for each in killed.events())
    with capsys.disabled():
        print(  # noqa: T201 - the report
            f"\n{KILLS} kills: {len(acknowledged)} events acknowledged, "
            f"{sum(producer.posts for producer in producers)} posts, "
            f"{len(asked.ids) - len(set(asked.ids))} of {len(asked.ids)} deliveries and "
            f"{len(told.ids) - len(set(told.ids))} of {len(told.ids)} deliveries of replies twice"
        )
    assert len(acknowledged) > KILLS, "too little happened to show anything"
    assert set(acknowledged) <= set(asked.ids), "an acknowledged event was not delivered"
    assert {id_ for id_, count in journal.items() if count > 1} == set(), "taken in twice"
    assert {f"re:{id_}" for id_ in acknowledged} <= set(told.ids), "a reply was not delivered"
    assert set(journal) == {word for id_ in acknowledged for word in (id_, f"re:{id_}")}
    assert [each["dead"] for each in killed.triggers().values()] == [0, 0]
    assert killed.stop() == 0
    with sqlite3.connect(killed.journal) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
