"""`rookery source sqs` in a process of its own, between real servers."""

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from rookery.events.wire import from_http
from rookery.free_ports import free_ports

pytestmark = pytest.mark.end_to_end

KEYS = [
    "a b+c%20/é/../x.jpg",
    "../x.jpg",
    "a//b.jpg",
    "%2F.jpg",
    "?x=1&y=2#z.jpg",
    "a&b=c;d:e@f,g'h(i)*!~$.jpg",
    "日本語.jpg",
    "🦉.png",
    "quote\"<&>'.jpg",
    *(f"plain-{n}.jpg" for n in range(11)),
]


class Subscriber:
    """A sink that remembers what it accepted, and can hold one answer back."""

    def __init__(self, port=0):
        self.events = {}
        self.hold_at = None
        self.holding, self.release = threading.Event(), threading.Event()
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                (event,) = from_http(dict(self.headers.items()), body)
                hold_at = subscriber.hold_at
                if hold_at is not None and len(subscriber.events) >= hold_at:
                    subscriber.holding.set()
                    subscriber.release.wait()
                    self.close_connection = True
                    return
                subscriber.events[event.id] = event.subject
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def subscribe():
    subscribers = []

    def start(port=0):
        subscribers.append(Subscriber(port))
        return subscribers[-1]

    yield start
    for subscriber in subscribers:
        subscriber.close()


@pytest.fixture
def start_source(storage):
    processes = []

    def start(endpoint, sink):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rookery", "source", "sqs"),
                f"--queue-url={endpoint}/123456789012/images-events",
                f"--endpoint-url={endpoint}",
                f"--sink={sink}",
                "--wait-seconds=1",
                "--visibility-seconds=3",
            ],
            env=os.environ | storage.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline().startswith("source sqs ")
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def upload(storage, keys):
    client = boto3.client("s3", **storage.client)
    for key in keys:
        client.put_object(Bucket="images", Key=key, Body=key.encode())


def until(condition):
    """Poll *condition*; the suite's timeout ends a wait for ever."""
    while not condition():
        time.sleep(0.01)


def test_kill_9_in_the_middle_loses_and_doubles_nothing(start_storage, subscribe, start_source):
    storage, subscriber = start_storage(), subscribe()
    subscriber.hold_at = 7
    source = start_source(storage.url, subscriber.url)
    upload(storage, KEYS)
    subscriber.holding.wait()
    source.kill()
    source.wait()
    subscriber.hold_at = None
    subscriber.release.set()

    start_source(storage.url, subscriber.url)
    until(lambda: set(subscriber.events.values()) == set(KEYS))

    assert len(subscriber.events) == len(KEYS)


def test_starts_before_everything_it_connects(start_storage, subscribe, start_source):
    storage_port, sink_port = free_ports(2)
    start_source(f"http://127.0.0.1:{storage_port}", f"http://127.0.0.1:{sink_port}")
    storage = start_storage(storage_port)
    upload(storage, ["early.jpg"])

    subscriber = subscribe(sink_port)
    until(lambda: subscriber.events)

    assert list(subscriber.events.values()) == ["early.jpg"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well_with_a_summary(start_storage, subscribe, start_source, number):
    storage, subscriber = start_storage(), subscribe()
    source = start_source(storage.url, subscriber.url)
    upload(storage, ["one.jpg"])
    until(lambda: subscriber.events)

    source.send_signal(number)
    _, log = source.communicate(timeout=20)

    assert source.returncode == 0
    assert "1 events delivered" in log


def test_a_missing_sink_is_one_message(storage):
    environ = {name: value for name, value in os.environ.items() if name != "K_SINK"}
    source = subprocess.run(
        [*(sys.executable, "-m", "rookery"), "source", "sqs", "--queue-url=http://127.0.0.1/1/q"],
        env=environ | storage.env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert source.returncode == 78
    assert "K_SINK" in source.stderr
    assert "Traceback" not in source.stderr
