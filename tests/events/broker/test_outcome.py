from datetime import UTC, datetime

import pytest

from rookery.delivery.connection import Answer, NoAnswer
from rookery.events.broker.outcome import Delivered, Failed, judge
from rookery.events.wire import CloudEvent, to_batch, to_binary, to_structured


def made(id_, **fields):
    return CloudEvent(**{"id": id_, "source": "/test", "type": "test.happened", **fields})


NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def judged(status, headers=None, body=b""):
    return judge(Answer(status, headers or {}, body), NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_an_empty_success_is_delivered(status):
    assert judged(status) == Delivered()


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 501, 502, 503, 504, 599])
def test_is_retried(status):
    assert judged(status).retry


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 405, 410, 413, 415, 422])
def test_is_final(status):
    failed = judged(status, body=b"why")
    assert (failed.code, failed.body, failed.retry) == (status, b"why", False)


def test_no_answer_is_retried_and_reported_as_knative_does():
    failed = judge(NoAnswer("connection refused"), NOW)
    assert (failed.code, failed.retry, failed.body) == (500, True, b"connection refused")


def test_what_cannot_be_sent_is_final():
    assert not judge(NoAnswer("no such header", final=True), NOW).retry


@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_an_event_is_a_reply(write):
    reply = made("r", datacontenttype="text/plain", data=b"hello")
    headers, body = write(reply)
    assert judged(200, headers, body) == Delivered((reply,))


def test_a_batch_is_several_replies():
    replies = (made("a"), made("b"))
    headers, body = to_batch(replies)
    assert judged(200, headers, body) == Delivered(replies)


def test_an_event_without_data_is_a_reply():
    headers, body = to_binary(made("r"))
    assert judged(200, headers, body) == Delivered((made("r"),))


def test_a_202_never_carries_a_reply():
    headers, body = to_structured(made("r"))
    assert judged(202, headers, body) == Delivered()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/html"}, b"OK"),
        ({}, b"x"),
        ({"Content-Type": "application/cloudevents+json"}, b"{}"),
        ({"Content-Type": "application/cloudevents+avro"}, b"x"),
        ({"ce-id": "1"}, b""),
    ],
)
def test_a_success_with_anything_else_is_retried_as_502(headers, body):
    failed = judged(200, headers, body)
    assert isinstance(failed, Failed)
    assert (failed.code, failed.retry) == (502, True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("Sat, 31 Jan 2026 12:00:30 GMT", 30.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_reads_retry_after(value, seconds):
    assert judged(503, {"Retry-After": value}).retry_after == seconds


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "answered 422"),
        (b'{"error": "ImageEmpty", "message": "no bytes"}', "answered 422: ImageEmpty: no bytes"),
        (b'{"error": "ImageEmpty"}', "answered 422: ImageEmpty"),
        (b'{"detail": "no"}', 'answered 422: {"detail": "no"}'),
        (b"[1]", "answered 422: [1]"),
        (b"<h1>\n  Not\r\nthis  </h1>", "answered 422: <h1> Not this </h1>"),
        (b"\x1b[2J\xff", "answered 422: %1B[2J\ufffd"),
        (b"x" * 5000, f"answered 422: {'x' * 300}…"),
        (b"[" * 5000, f"answered 422: {'[' * 300}…"),
    ],
)
def test_the_reason_says_what_the_subscriber_said(body, reason):
    assert judged(422, body=body).reason == reason
