"""What survives: an orderly restart, kill -9 in the middle of everything, and a full disk."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
import urllib3

from rookery.events.broker.backoff import Backoff
from rookery.events.broker.changes import Append
from rookery.events.broker.entry import entry
from rookery.events.broker.service import open_broker
from rookery.events.wire import to_binary

TRIGGER = """
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: t}
spec:
  filter: {attributes: {type: test.happened}}
  subscriber: {uri: "%s"}
  delivery: {backoffDelay: PT0.05S}
"""


@pytest.fixture
def command(tmp_path):
    """Start `rookery broker serve` on one journal, again and again: command(subscriber)."""
    processes = []

    def start(url, limit=None):
        (tmp_path / "triggers.yaml").write_text(TRIGGER % url)
        words = ["broker", "serve", "--port=0", f"--triggers={tmp_path / 'triggers.yaml'}"]
        program = (
            "import resource, signal; from rookery.cli import main;"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            f"limit = {limit!r};"
            "limit and resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); main()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, *words, f"--journal={tmp_path / 'broker.db'}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        processes.append(process)
        line = process.stdout.readline()
        assert line.startswith("broker listening on "), line
        return process, line.split()[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def post(http, url, event):
    """Return the status, or None when the broker is gone."""
    headers, body = to_binary(event)
    try:
        return http.request("POST", url, headers=headers, body=body, timeout=10).status
    except urllib3.exceptions.HTTPError:
        return None


def test_a_restart_takes_up_what_was_pending(subscribe, trigger, numbered, tmp_path):
    told = {"status": 503}
    subscriber = subscribe(lambda _: told["status"])
    triggers = [trigger(subscriber.url, backoff=Backoff(delay=0.3))]
    with open_broker(tmp_path / "b.db", triggers) as broker:
        broker.journal.make(Append(tuple(entry(each, triggers) for each in numbered(20))))
        subscriber.wait(20)
    told["status"] = 200
    before = len(subscriber.ids)
    with open_broker(tmp_path / "b.db", triggers):
        subscriber.wait(before + 20)
    assert sorted(set(subscriber.ids), key=int) == [str(n) for n in range(20)]


def test_everything_accepted_before_kill_9_is_delivered_after_it(command, subscribe, made, poll):
    def reply(event):
        headers, body = to_binary(made(f"re:{event.id}", type="reply"))
        return 200, headers, body

    subscriber = subscribe(reply)
    process, url = command(subscriber.url)
    accepted, lock, enough = [], threading.Lock(), threading.Event()

    def produce(producer):
        http = urllib3.PoolManager(retries=False)
        for number in range(200):
            event = made(f"{producer}-{number}")
            if post(http, url, event) != 202:
                break
            with lock:
                accepted.append(event)
                if len(accepted) >= 150:
                    enough.set()
        http.clear()

    producers = [threading.Thread(target=produce, args=(n,)) for n in range(4)]
    for thread in producers:
        thread.start()
    assert enough.wait(30)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for thread in producers:
        thread.join()
    assert len(accepted) < 800, "the broker was killed too late to show anything"

    _, url = command(subscriber.url)
    http = urllib3.PoolManager(retries=False)
    assert {post(http, url, event) for event in accepted} == {202}
    expected = {event.id for event in accepted}
    poll(lambda: settled(http, url), bool)
    assert expected <= set(subscriber.ids)
    listed = [line["id"] for line in events(http, url) if line["type"] == "test.happened"]
    assert len(listed) == len(set(listed)), "a repeat was taken twice"
    replies = [line["id"] for line in events(http, url) if line["type"] == "reply"]
    assert sorted(replies) == sorted(f"re:{id_}" for id_ in listed)
    http.clear()


def settled(http, url):
    listed = http.request("GET", f"{url}/triggers").json()["triggers"]
    return all(each["pending"] == 0 for each in listed)


def events(http, url):
    found, after = [], 0
    while True:
        response = http.request("GET", f"{url}/events?after={after}")
        lines = [json.loads(line) for line in response.data.splitlines()]
        found += [line["event"] for line in lines]
        after = int(response.headers["Rookery-After"])
        if not lines:
            return found


def test_sigterm_ends_the_broker_with_status_0(command, subscribe, made):
    subscriber = subscribe()
    process, url = command(subscriber.url)
    http = urllib3.PoolManager(retries=False)
    assert post(http, url, made("1")) == 202
    subscriber.wait(1)
    http.clear()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_full_disk_refuses_events_and_loses_none(command, subscribe, made):
    """RLIMIT_FSIZE stands in for the full disk: writing beyond it fails in the same way."""
    subscriber = subscribe()
    process, url = command(subscriber.url, limit=400_000)
    http = urllib3.PoolManager(retries=False)
    events_made = [made(str(n), data=os.urandom(20_000)) for n in range(60)]
    statuses = [post(http, url, event) for event in events_made]
    assert set(statuses) == {202, 503}
    refused = post(http, f"{url}/", made("x", data=bytes(200_000)))
    assert refused == 503
    assert http.request("GET", f"{url}/health/liveness").status == 200
    http.clear()
    process.kill()
    process.wait()

    _, url = command(subscriber.url)  # with room again
    http = urllib3.PoolManager(retries=False)
    assert {post(http, url, event) for event in events_made} == {202}
    subscriber.wait(60)
    accepted = {str(n) for n, status in enumerate(statuses) if status == 202}
    assert accepted <= set(subscriber.ids)
    assert http.request("GET", f"{url}/health/readiness").status == 200
    http.clear()
