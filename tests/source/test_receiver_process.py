"""`rookery source ceph` in a process of its own: killed, stopped, and out of disk space."""

import json
import signal
import sys
import threading

import pytest
import urllib3

from journal_servers import Subscriber

pytestmark = pytest.mark.end_to_end

# RLIMIT_FSIZE stands in for a full disk: writing beyond it fails in the same way.
PROGRAM = """
import resource, signal
from rookery.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
main()
"""
UNLIMITED = -1


@pytest.fixture
def command(launch, environ, tmp_path):
    """Launch a receiver on one journal: command(sink URL)."""

    def start(sink, limit=UNLIMITED):
        options = ["--port=0", f"--journal={tmp_path / 'r.db'}", f"--sink={sink}"]
        program = PROGRAM.format(limit=limit)
        return launch([sys.executable, "-c", program, "source", "ceph", *options], environ)

    return start


def address(process):
    return process.said(r"source ceph listening on (\S+) -> ")[1]


def push(url, body):
    """POST as Ceph does, one connection for each request; None when nobody answered."""
    with urllib3.PoolManager(retries=False) as http:
        try:
            headers = {"Content-Type": "application/json", "Connection": "close"}
            return http.request("POST", url, headers=headers, body=body, timeout=20).status
        except urllib3.exceptions.HTTPError:
            return None


def get(url, path):
    with urllib3.PoolManager(retries=False) as http:
        return http.request("GET", url + path, timeout=20)


def pending(url):
    (trigger,) = get(url, "/triggers").json()["triggers"]
    return trigger["pending"]


def subjects(sink: Subscriber):
    return [event.subject for event in sink.events]


def test_what_was_acknowledged_before_kill_9_is_delivered_after_it(
    command, subscribe, notification, wait_until
):
    sink = subscribe()
    acknowledged, enough = [], threading.Event()

    def produce(url, producer):
        for number in range(400):
            key = f"{producer}-{number}.jpg"
            if push(url, notification(key)) != 202:
                return
            acknowledged.append(key)
            if len(acknowledged) >= 120:
                enough.set()

    with command(sink.url) as receiver:
        url = address(receiver)
        producers = [threading.Thread(target=produce, args=(url, n)) for n in range(4)]
        for thread in producers:
            thread.start()
        assert enough.wait(60)
        receiver.process.send_signal(signal.SIGKILL)
        receiver.process.wait()
        for thread in producers:
            thread.join()
    assert len(acknowledged) < 1600, "the receiver was killed too late to show anything"

    with command(sink.url) as receiver:
        url = address(receiver)
        assert {push(url, notification(key)) for key in acknowledged} == {202}
        wait_until(lambda: pending(url) == 0, "nothing pending")
        assert set(acknowledged) <= set(subjects(sink))
        lines = get(url, "/events").data.splitlines()
        journalled = [json.loads(line)["event"]["subject"] for line in lines]
        assert len(journalled) == len(set(journalled)), "a repeat was taken twice"


def test_events_wait_on_disk_for_a_sink_that_is_away(
    command, subscribe, notification, unused_url, wait_until
):
    with command(unused_url) as receiver:
        url = address(receiver)
        for number in range(30):
            assert push(url, notification(f"{number}.jpg")) == 202
        receiver.process.kill()
        receiver.process.wait()
    sink = subscribe(port=int(unused_url.rpartition(":")[2]))
    with command(unused_url) as receiver:
        url = address(receiver)
        wait_until(lambda: pending(url) == 0, "nothing pending")
    assert sorted(subjects(sink)) == sorted(f"{number}.jpg" for number in range(30))


def test_sigterm_finishes_what_is_on_its_way(command, subscribe, notification):
    arrived, release = threading.Event(), threading.Event()

    def hold(_):
        arrived.set()
        release.wait(20)
        return 202

    sink = subscribe(hold)
    with command(sink.url) as receiver:
        push(address(receiver), notification())
        assert arrived.wait(20)
        receiver.process.terminate()
        release.set()
        assert receiver.ends() == 0
    with command(sink.url) as receiver:
        assert pending(address(receiver)) == 0


def test_a_full_disk_refuses_and_loses_nothing(command, subscribe, notification, wait_until):
    sink = subscribe()
    bodies = {f"{n}.jpg": notification(f"{n}.jpg", opaqueData="x" * 10_000) for n in range(100)}
    with command(sink.url, limit=400_000) as receiver:
        url = address(receiver)
        answers = {key: push(url, body) for key, body in bodies.items()}
        assert set(answers.values()) == {202, 503}
        assert get(url, "/health/liveness").status == 200
        assert receiver.text.count("cannot be used") <= 10, "a log line for every refusal"
        receiver.process.kill()
        receiver.process.wait()
    with command(sink.url) as receiver:  # with room again
        url = address(receiver)
        refused = [key for key, status in answers.items() if status == 503]
        assert {push(url, bodies[key]) for key in refused} == {202}
        wait_until(lambda: pending(url) == 0, "nothing pending")
        assert set(subjects(sink)) == set(bodies)


def test_a_second_receiver_on_the_journal_is_refused(command, unused_url):
    with command(unused_url) as first:
        address(first)
        with command(unused_url) as second:
            second.said("in use by another broker")
            assert second.ends() == 69
