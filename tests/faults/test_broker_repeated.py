"""Notifications that come twice, in the wrong order, and again much later."""

import threading

import pytest

from broker_processes import made, trigger

EVENTS = 200

pytestmark = pytest.mark.end_to_end


def test_repeats_in_any_order_are_absorbed_and_counted(broker, subscribe, luck):
    subscriber = subscribe()
    running = broker(trigger("t", subscriber.url))
    running.start()
    ids = [str(number) for number in range(EVENTS)]
    posts = ids * 3
    luck.shuffle(posts)
    statuses = []

    def post(part):
        statuses.extend([running.post(made(id_)) for id_ in part])

    threads = [threading.Thread(target=post, args=(posts[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    running.until_settled()
    # Much later: one by one, and a batch that holds everything twice.
    statuses.append(running.post(made(luck.choice(ids))))
    statuses.append(running.post(*(made(id_) for id_ in ids * 2)))
    running.until_settled()

    assert set(statuses) == {202}
    assert sorted(subscriber.ids) == sorted(ids)
    assert sorted(event["id"] for event in running.events()) == sorted(ids)
    assert running.metric("rookery_broker_accepted_total") == EVENTS
    repeats = len(posts) - EVENTS + 1 + 2 * EVENTS
    assert running.metric("rookery_broker_duplicate_total") == repeats


def test_a_repeat_after_a_restart_is_absorbed(broker, subscribe):
    subscriber = subscribe()
    running = broker(trigger("t", subscriber.url))
    running.start()
    assert running.post(made("1")) == 202
    running.until_settled()
    running.kill()
    running.start()
    assert running.post(made("1")) == 202
    assert running.metric("rookery_broker_duplicate_total") == 1
    assert running.triggers()["t"]["pending"] == 0
    assert subscriber.ids == ["1"]


def test_a_replay_delivers_again_what_is_not_new(broker, subscribe):
    subscriber = subscribe()
    running = broker(trigger("t", subscriber.url))
    running.start()
    assert running.post(*(made(str(number)) for number in range(10))) == 202
    running.until_settled()
    assert running.ask("POST", "/replay?trigger=t&after=5").json() == {"queued": 5}
    running.until_settled()
    assert sorted(subscriber.ids) == sorted([*map(str, range(10)), *map(str, range(5, 10))])
    assert len(running.events()) == 10
