"""The SQS adapter where the contract suite does not reach: failures, and what it asks for."""

import subprocess
import sys

import pytest
from pydantic import SecretStr

from rookery.errors import QueueUnavailable, SettingsInvalid
from rookery.source.protocol import Message
from rookery.source.sqs import connect


@pytest.fixture
def queue_at():
    def make(url, **options):
        return connect(
            f"{url}/123456789012/events",
            endpoint=url,
            region="us-east-1",
            access_key=SecretStr("key"),
            secret_key=SecretStr("do-not-tell"),
            **({"wait_seconds": 0} | options),
        )

    return make


def answer(status, body):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


@pytest.mark.parametrize(
    "step",
    [
        answer("400 Bad Request", '{"__type": "QueueDoesNotExist", "message": "no such queue"}'),
        answer("403 Forbidden", '{"__type": "SignatureDoesNotMatch", "message": "no"}'),
        answer("500 Oh", "<html>"),
        b"",
        b"garbage\r\n\r\n",
    ],
)
def test_what_is_no_good_answer_is_unavailable(queue_at, scripted_server, step):
    queue = queue_at(scripted_server(step).url)

    with pytest.raises(QueueUnavailable, match="/123456789012/events") as caught:
        queue.receive()

    assert "do-not-tell" not in str(caught.value)


def test_a_queue_server_that_is_down_is_unavailable(queue_at, unused_url):
    with pytest.raises(QueueUnavailable):
        queue_at(unused_url).delete([Message(id="m", receipt="r", body="")])


def test_a_receive_asks_as_it_was_told_to(queue_at, scripted_server):
    server = scripted_server(answer("200 OK", "{}"))

    queue_at(server.url, wait_seconds=7, visibility_seconds=42).receive()

    assert b'"WaitTimeSeconds":7' in server.requests[0].replace(b" ", b"")
    assert b'"VisibilityTimeout":42' in server.requests[0].replace(b" ", b"")
    assert b'"MaxNumberOfMessages":10' in server.requests[0].replace(b" ", b"")


def test_a_message_that_could_not_be_deleted_is_logged(queue_at, scripted_server, caplog):
    failed = '{"Failed": [{"Id": "1", "Code": "ReceiptHandleIsInvalid", "SenderFault": true}]}'
    queue = queue_at(scripted_server(answer("200 OK", failed)).url)

    queue.delete([Message(id=name, receipt=name, body="") for name in ("m0", "m1")])

    assert "message m1 was not deleted: ReceiptHandleIsInvalid" in caplog.text


def test_settings_that_make_no_client_are_refused():
    with pytest.raises(SettingsInvalid, match="--endpoint-url"):
        connect("http://127.0.0.1/1/q", endpoint="not a url", region="us-east-1")


@pytest.mark.parametrize("module", ["sqs", "pump", "announcer", "memory"])
def test_importing_loads_no_heavy_library(module):
    code = f"""
import sys
import rookery.source.{module}
assert not {{"boto3", "botocore"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
