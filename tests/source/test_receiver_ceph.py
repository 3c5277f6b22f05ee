"""A real Ceph pushes to a receiver in a process of its own: all arrives, once, and nobody waits."""

import os
import signal
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
import urllib3
from botocore.config import Config

from rookery.notifications.connection import Connection
from rookery.notifications.ensure import ensure

pytestmark = pytest.mark.end_to_end

KEYS = ["plain.jpg", "a dir/é+%20 x.jpg", "100%.jpg", "日本語.jpg", "a&b=c;d?e#f.jpg"]


@pytest.fixture
def bucket(ceph):
    """Have a bucket push to an endpoint: bucket(name, endpoint) returns what uploads keys to it."""
    connection = Connection(ceph.endpoint, ceph.region, ceph.access_key, ceph.secret_key)
    s3 = boto3.client(
        "s3",
        endpoint_url=ceph.endpoint,
        region_name=ceph.region,
        aws_access_key_id=ceph.access_key,
        aws_secret_access_key=ceph.secret_key,
        config=Config(s3={"addressing_style": "path"}, read_timeout=30),
    )

    def make(name, endpoint, topic="n", *, persistent=False):
        s3.create_bucket(Bucket=name)
        topic = f"{name}-{topic}"
        assert ensure(connection, name, name=topic, endpoint=endpoint, persistent=persistent)

        def upload(keys):
            for key in keys:
                s3.put_object(Bucket=name, Key=key, Body=os.urandom(1000))

        return upload

    yield make
    s3.close()


@pytest.fixture
def receiver(launch, environ, tmp_path):
    """Launch a receiver on one journal: receiver(sink URL)."""

    @contextmanager
    def start(sink):
        command = [sys.executable, "-m", "rookery", "source", "ceph", "--port=0"]
        options = [f"--journal={tmp_path / 'r.db'}", f"--sink={sink}"]
        with launch([*command, *options], environ) as process:
            yield process, process.said(r"listening on (\S+) -> ")[1]

    return start


class Gate(ThreadingHTTPServer):
    """Passes POSTs on to a target that may change, and answers 503 while there is none.

    It stands for a Service or a proxy. Ceph 16 must never be refused a connection: the failures
    follow so fast upon another that it loses one, and the topic's queue hangs until radosgw is
    restarted.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        gate, self.target, self.passed, self.refused = self, None, 0, 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(gate.forward(body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                del args

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._http = urllib3.PoolManager(retries=False, maxsize=64)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def forward(self, body):
        status = 503
        if (target := self.target) is not None:
            try:
                headers = {"Content-Type": "application/json"}
                status = self._http.request("POST", target, headers=headers, body=body).status
            except urllib3.exceptions.HTTPError:
                pass
        self.passed += status == 202
        self.refused += status != 202
        return status

    def handle_error(self, *args):
        del args


@pytest.fixture
def gate():
    server = Gate()
    yield server
    server.shutdown()
    server.server_close()


def keys_of(sink):
    return sorted(event.subject for event in sink.events)


def test_every_upload_arrives_under_its_key(receiver, subscribe, bucket):
    sink = subscribe()
    with receiver(sink.url) as (_, url):
        bucket("keys", url)(KEYS)
        sink.wait(len(KEYS))
    assert keys_of(sink) == sorted(KEYS)


def test_an_upload_does_not_wait_for_the_sink(receiver, subscribe, bucket):
    """A synchronous topic makes every PUT wait for its endpoint: here, for a disk."""
    arrived, release = threading.Event(), threading.Event()
    sink = subscribe(lambda _: arrived.set() or (release.wait(60) and 202))
    with receiver(sink.url) as (_, url):
        # The sink holds the first eight for as long as this takes.
        bucket("slow", url)([f"{n}.jpg" for n in range(30)])
        assert arrived.wait(30)
        assert not release.is_set()
        release.set()
        sink.wait(30)


def test_two_notifications_about_one_upload_are_one_event(receiver, subscribe, bucket, wait_until):
    sink = subscribe()
    with receiver(sink.url) as (_, url), urllib3.PoolManager() as http:
        bucket("twice", url)
        bucket("twice", url, "other")(KEYS)
        absorbed = f"rookery_receiver_duplicate_total {len(KEYS)}.0"
        wait_until(
            lambda: absorbed in http.request("GET", f"{url}/metrics").data.decode(),
            "the second notification of each",
        )
        sink.wait(len(KEYS))
    assert keys_of(sink) == sorted(KEYS)


def test_a_persistent_topic_delivers_all_once_across_kill_9(
    receiver, subscribe, bucket, gate, wait_until
):
    sink = subscribe()
    upload = bucket("kept", gate.url, persistent=True)
    early, late = ([f"{when}-{n}.jpg" for n in range(40)] for when in ("early", "late"))
    with receiver(sink.url) as (process, url):
        gate.target = url
        upload(early)
        # Ceph looks for new queues every 30 s.
        wait_until(lambda: gate.passed > 0, "the first notification", seconds=60)
        process.process.send_signal(signal.SIGKILL)
        process.process.wait()
    gate.target = None
    upload(late)
    wait_until(lambda: gate.refused > 200, "the storm")
    with receiver(sink.url) as (_, url), urllib3.PoolManager() as http:
        gate.target = url
        wait_until(lambda: len(set(keys_of(sink))) == 80, "every event", seconds=60)
        lines = http.request("GET", f"{url}/events").data.splitlines()
        gate.target = None
    assert set(keys_of(sink)) == {*early, *late}
    assert len(lines) == 80, "a repeat was taken twice"
