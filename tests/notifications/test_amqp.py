"""Ceph to a real RabbitMQ, and what a consumer gets there."""

import json
import uuid

import pika
import pytest
from botocore.exceptions import BotoCoreError

from rookery.events.announcement import announce
from rookery.events.object_created import from_event
from rookery.notifications.ceph import CephNotifications
from rookery.notifications.difference import to_apply
from rookery.notifications.document import read_wanted
from rookery.storage.ceph.control import start_daemon
from rookery.storage.ceph.daemons import RGW, is_running, log_file

# RabbitMQ takes 10 s to start on an idle machine, and ten times that on a busy one.
pytestmark = [
    pytest.mark.xdist_group("ceph"),
    pytest.mark.end_to_end,
    pytest.mark.timeout(400),
]


class Queue:
    """A queue that takes whatever is published to the exchange `images`."""

    def __init__(self, port, wait):
        self._connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
        self._channel = self._connection.channel()
        self._wait = wait
        self._channel.exchange_declare("images", "topic")
        self._name = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(self._name, "images", "#")

    def get(self):
        """The next message: its routing key, and its body as JSON."""
        got = []

        def found():
            got[:] = self._channel.basic_get(self._name, auto_ack=True)
            return got[0] is not None

        self._wait(found, "a message")
        return got[0].routing_key, json.loads(got[2])

    def close(self):
        self._connection.close()


@pytest.fixture
def queue(rabbitmq, wait_long):
    opened = Queue(rabbitmq, wait_long)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def radosgw_comes_back(ceph, wait_long):
    """Ceph 16 crashes now and then in its own AMQP code, after it has published."""
    log = log_file(ceph.folder, RGW)
    before = log.stat().st_size
    yield
    if b"*** Caught signal" in log.read_bytes()[before:]:
        wait_long(lambda: not is_running(ceph.folder, RGW), "a radosgw that crashes to end")
    if not is_running(ceph.folder, RGW):
        start_daemon(ceph.conf, RGW)


@pytest.fixture
def bucket(ceph, s3, wait_long):
    """A bucket that goes with the node: a radosgw that crashes cannot remove it."""
    name = f"bucket-{uuid.uuid4().hex}"

    def made():
        if not is_running(ceph.folder, RGW):
            start_daemon(ceph.conf, RGW)
        try:
            s3.create_bucket(Bucket=name)
        except BotoCoreError:
            return False
        return True

    wait_long(made, "a radosgw that has not crashed")
    return name


@pytest.fixture
def upload(radosgw, rabbitmq, s3, bucket):
    """Have the bucket notify RabbitMQ, and upload to it; return the ETag."""

    def run(key, **fields):
        entry = {
            "name": bucket,
            "bucket": bucket,
            "endpoint": "${AMQP_URL}",
            "exchange": "images",
        }
        text = json.dumps({"notifications": [entry | fields]})
        wanted = read_wanted(text, {"AMQP_URL": f"amqp://127.0.0.1:{rabbitmq}"})
        store = CephNotifications(radosgw)
        store.write(to_apply(wanted, store.read([bucket], [bucket])))
        return s3.put_object(Bucket=bucket, Key=key, Body=b"12345")["ETag"].strip('"')

    return run


@pytest.mark.parametrize("ack", ["none", "broker", "routable"])
def test_an_upload_is_a_message_that_our_parser_reads(upload, queue, bucket, ack):
    etag = upload("a b/é+.jpg", ack=ack)

    routing_key, body = queue.get()
    (event,) = announce(body)
    (obj,) = from_event(event)

    assert routing_key == bucket
    assert (obj.bucket, obj.key, obj.etag, obj.size) == (bucket, "a b/é+.jpg", etag, 5)


def test_a_persistent_topic_is_published_too(upload, queue):
    upload("x.jpg", persistent=True, ack="broker")
    _, body = queue.get()
    assert body["Records"][0]["s3"]["object"]["key"] == "x.jpg"
