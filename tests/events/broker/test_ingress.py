import io
import json

import pytest

from rookery.errors import RequestInvalid
from rookery.events.broker.exchange import body_of
from rookery.events.broker.service import Limits
from rookery.events.wire import to_batch, to_binary, to_structured


@pytest.fixture
def broker(serve):
    return serve()


def stored(broker):
    return [line["event"]["id"] for line in broker.lines("/events")]


@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_takes_an_event_and_answers_202_with_nothing(broker, made, write):
    headers, body = write(made("1", data=b"x", datacontenttype="text/plain"))
    response = broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    assert (response.status, response.data) == (202, b"")
    assert stored(broker) == ["1"]


@pytest.mark.parametrize("path", ["/", "/default/broker", "/a/b/c/", "/events"])
def test_takes_events_on_any_path(broker, made, path):
    assert broker.post(made("1"), path) == 202


def test_takes_a_batch(broker, numbered):
    headers, body = to_batch(numbered(3))
    assert broker.http.request("POST", f"{broker.url}/", headers=headers, body=body).status == 202
    assert stored(broker) == ["0", "1", "2"]


def test_takes_an_empty_batch(broker):
    headers, body = to_batch([])
    assert broker.http.request("POST", f"{broker.url}/", headers=headers, body=body).status == 202


def test_refuses_a_batch_as_a_whole(broker, made):
    headers, body = to_batch([made("1"), made("2")])
    broken = body.replace(b'"id":"2"', b'"id":""')
    response = broker.http.request("POST", f"{broker.url}/", headers=headers, body=broken)
    assert response.status == 400
    assert stored(broker) == []


def test_absorbs_a_repeat(broker, made):
    assert [broker.post(made("1")) for _ in range(3)] == [202, 202, 202]
    assert stored(broker) == ["1"]
    assert broker.metric("rookery_broker_accepted_total") == 1
    assert broker.metric("rookery_broker_duplicate_total") == 2


def test_absorbs_a_repeat_within_a_batch(broker, made):
    headers, body = to_batch([made("1"), made("1"), made("2")])
    broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    assert stored(broker) == ["1", "2"]


def test_keeps_apart_what_ceph_gives_one_id(broker, made):
    for subject in ("a.jpg", "b.jpg"):
        broker.post(made("request-1", subject=subject))
    assert stored(broker) == ["request-1", "request-1"]


def test_keeps_every_attribute_and_the_data(broker, made):
    event = made(
        "1",
        subject="Ünïcode + %20/../x",
        time="2026-01-31T12:00:00Z",
        dataschema="http://x/",
        extensions={"traceparent": "00-a-b-01"},
        datacontenttype="image/jpeg",
        data=bytes(range(256)),
    )
    broker.post(event)
    (line,) = broker.lines("/events")
    assert line["event"] == json.loads(to_structured(event)[1])


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"hello", 400, "EventInvalid"),
        ({"ce-id": "1", "ce-source": "/x"}, b"", 400, "EventInvalid"),
        ({"Content-Type": "application/cloudevents+json"}, b"{", 400, "EventInvalid"),
        ({"Content-Type": "application/cloudevents+json"}, b"[]", 400, "EventInvalid"),
        ({"Content-Type": "application/cloudevents-batch+json"}, b"{}", 400, "EventInvalid"),
        ({"Content-Type": "application/cloudevents+avro"}, b"x", 415, "UnsupportedMedia"),
    ],
)
def test_refuses_what_is_no_event(broker, headers, body, status, code):
    response = broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    assert (response.status, response.json()["error"]) == (status, code)
    assert broker.metric(f'rookery_broker_refused_total{{error="{code}"}}') == 1


def test_refuses_an_event_whose_hops_are_used_up(broker, made):
    response = broker.post(made("1", extensions={"knativebrokerttl": "1"}))
    assert (response, stored(broker)) == (400, [])


@pytest.mark.parametrize("chunked", [False, True])
def test_refuses_a_body_over_the_limit(serve, made, chunked):
    broker = serve(limits=Limits(event_bytes=1000))
    headers, body = to_binary(made("1", data=b"x" * 1001))
    response = broker.http.request(
        "POST", f"{broker.url}/", headers=headers, body=body, chunked=chunked
    )
    assert (response.status, response.json()["error"]) == (413, "EventTooLarge")


def test_takes_a_body_at_the_limit(serve, made):
    broker = serve(limits=Limits(event_bytes=1000))
    assert broker.post(made("1", data=b"x" * 1000)) == 202


def test_a_body_that_ends_early_is_refused():
    with pytest.raises(RequestInvalid, match="ended after 3 of 10"):
        body_of({"CONTENT_LENGTH": "10", "wsgi.input": io.BytesIO(b"abc")}, 100)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/", 405),
        ("DELETE", "/events", 405),
        ("OPTIONS", "/", 200),
        ("GET", "/health/liveness", 200),
        ("GET", "/health/readiness", 200),
        ("GET", "/metrics", 200),
    ],
)
def test_answers_other_methods_and_paths(broker, method, path, status):
    assert broker.send(method, path).status == status


def test_a_web_hook_probe_learns_that_it_may_post(broker):
    assert "POST" in broker.send("OPTIONS", "/").headers["Allow"]


def test_is_not_ready_while_it_drains(broker):
    broker.broker.drain()
    assert broker.send("GET", "/health/readiness").status == 503


def test_refuses_events_while_the_journal_fails_and_takes_them_again_after(broker, made):
    connection = broker.broker.journal._writer._connection
    for table in ("events", "probe"):
        connection.execute(
            f"CREATE TEMP TRIGGER no_{table} BEFORE INSERT ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'no space'); END"
        )
    headers, body = to_binary(made("1"))
    response = broker.http.request("POST", f"{broker.url}/", headers=headers, body=body)
    assert (response.status, response.json()["error"]) == (503, "JournalUnavailable")
    assert response.headers["Retry-After"] == "1"
    assert broker.send("GET", "/health/readiness").status == 503
    for table in ("events", "probe"):
        connection.execute(f"DROP TRIGGER no_{table}")
    assert broker.send("GET", "/health/readiness").status == 200
    assert broker.post(made("1")) == 202
