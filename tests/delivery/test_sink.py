"""The HTTP sink against servers that misbehave."""

import pytest

from misbehaving import TricklesAfter, raw_subscriber
from rookery.credentials import Outgoing
from rookery.delivery.retry import RetryPolicy
from rookery.delivery.sink import HttpSink, Timeouts, connect_sink
from rookery.errors import DeliveryRejected, SettingsInvalid, SinkDenied, SinkUnavailable
from rookery.events.wire import CloudEvent

EVENT = CloudEvent(id="1", source="/test", type="test.v1", extensions={"tenant": "own"})


def answer(status, *headers, body=b""):
    framing = (f"Content-Length: {len(body)}", "Connection: close")
    lines = [f"HTTP/1.1 {status}", *framing, *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
def connect():
    """Connect a sink that makes three attempts and only notes how long it would have slept."""
    sinks = []

    def make(url, *, overrides="", attempts=3, seconds=20.0, outgoing=None):
        sink = connect_sink(
            url,
            overrides=overrides,
            policy=RetryPolicy(attempts=attempts, base_seconds=1, cap_seconds=4, total_seconds=60),
            timeouts=Timeouts(connect=20, attempt=seconds),
            outgoing=outgoing,
        )
        sink.slept = []
        sink._sleep = sink.slept.append
        sink._jitter = lambda: 0.5
        sinks.append(sink)
        return sink

    yield make
    for sink in sinks:
        sink.close()


def test_connecting_opens_no_connection(connect, unused_url):
    assert isinstance(connect(unused_url), HttpSink)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([answer("202 Accepted")], id="202"),
        pytest.param([answer("200 OK", "Content-Type: text/html", body=b"<p>hi</p>")], id="html"),
        pytest.param([answer("200 OK", body=b"x" * 100_000)], id="a large body"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut"], id="2xx, then cut short"
        ),
        pytest.param([answer("500 Oh"), answer("202 Accepted")], id="500, then 202"),
        pytest.param([answer("404 Not Found"), answer("204 No Content")], id="404, then 204"),
        pytest.param([b"", answer("202 Accepted")], id="closed without an answer, then 202"),
        pytest.param([b"HTTP/1.1 20", answer("202 Accepted")], id="cut in the status, then 202"),
        pytest.param([b"garbage\r\n\r\n", answer("202 Accepted")], id="garbage, then 202"),
    ],
)
def test_delivered(connect, scripted_server, answers):
    server = scripted_server(*answers)

    connect(server.url).send(EVENT)

    assert len(server.requests) == len(answers)


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "403 Forbidden", "413 Too Large", "301 Moved", "307 Redirect"]
)
def test_a_final_status_is_rejected_at_once(connect, scripted_server, status):
    server = scripted_server(answer(status, "Location: /elsewhere", body=b'{"error": "why"}'))

    with pytest.raises(DeliveryRejected, match=rf"HTTP {status[:3]} .*why"):
        connect(server.url).send(EVENT)

    assert len(server.requests) == 1


def test_gives_up_after_its_attempts(connect, scripted_server):
    server = scripted_server(answer("503 Service Unavailable", body=b"busy"))

    with pytest.raises(SinkUnavailable, match=r"in 3 attempt\(s\).*HTTP 503 'busy'"):
        connect(server.url).send(EVENT)

    assert len(server.requests) == 3


def test_an_event_waits_where_its_token_is_refused(connect, scripted_server):
    server = scripted_server(answer("401 Unauthorized"))

    with pytest.raises(SinkDenied, match=r"HTTP 401 .*ROOKERY_SINK_TOKEN"):
        connect(server.url).send(EVENT)

    assert len(server.requests) == 3


def test_the_token_goes_with_every_attempt_as_it_is_then(connect, scripted_server):
    server = scripted_server(answer("401 Unauthorized"), answer("202 Accepted"))
    outgoing = Outgoing(tokens=lambda: ("new" if server.requests else "old", "spare"))
    sink = connect(server.url, outgoing=outgoing)

    sink.send(EVENT)

    assert b"Authorization: Bearer old\r\n" in server.requests[0]
    assert b"Authorization: Bearer new\r\n" in server.requests[1]


def test_a_sink_that_repeats_our_request_reveals_no_secret(connect, scripted_server):
    server = scripted_server(answer("400 Bad", body=b"POST /?key=open-sesame Bearer a-sesame"))
    sink = connect(f"{server.url}/?key=open-sesame", outgoing=Outgoing(lambda: ("a-sesame",)))

    with pytest.raises(DeliveryRejected) as raised:
        sink.send(EVENT)

    assert "Bearer ***" in str(raised.value)
    assert "sesame" not in str(raised.value)


def test_without_a_token_there_is_no_authorization(connect, scripted_server):
    server = scripted_server(answer("202 Accepted"))

    connect(server.url).send(EVENT)

    assert b"authorization" not in server.requests[0].lower()


def test_pauses_grow(connect, scripted_server):
    sink = connect(scripted_server(answer("500 Oh")).url)

    with pytest.raises(SinkUnavailable):
        sink.send(EVENT)

    assert sink.slept == [0.5, 1.0]


def test_a_pause_is_at_least_what_the_sink_asks_for(connect, scripted_server):
    asks = answer("429 Too Many Requests", "Retry-After: 3")
    sink = connect(scripted_server(asks, answer("202 Accepted")).url)

    sink.send(EVENT)

    assert sink.slept == [3.0]


def test_refused_connections_are_unavailable(connect, unused_url):
    with pytest.raises(SinkUnavailable, match="Connection refused"):
        connect(unused_url).send(EVENT)


def test_a_sink_that_hangs_is_unavailable(connect, scripted_server):
    server = scripted_server(None)

    with pytest.raises(SinkUnavailable, match=r"no answer within 0\.1 s"):
        connect(server.url, attempts=1, seconds=0.1).send(EVENT)


def test_an_answer_that_trickles_in_ends_with_its_attempt(connect):
    trickling = TricklesAfter(b"HTTP/1.1 202 Accepted\r\nX-A: ")

    with raw_subscriber(trickling) as server:
        with pytest.raises(SinkUnavailable, match="the answer did not end in time"):
            connect(server.url, attempts=1, seconds=1.0).send(EVENT)

        assert trickling.hung_up.wait(20)


@pytest.mark.parametrize(
    ("status", "error"), [("400 Bad Request", DeliveryRejected), ("503 Busy", SinkUnavailable)]
)
def test_a_status_counts_whose_body_trickles_in(connect, status, error):
    trickling = TricklesAfter(f"HTTP/1.1 {status}\r\nContent-Length: 5000\r\n\r\n".encode())

    with raw_subscriber(trickling) as server:
        with pytest.raises(error, match=f"HTTP {status[:3]}"):
            connect(server.url, attempts=1).send(EVENT)

        assert trickling.hung_up.wait(20)


@pytest.mark.parametrize("framing", ["Content-Length: 5000", "Connection: close"])
def test_an_acknowledgment_counts_whose_body_trickles_in(connect, framing):
    trickling = TricklesAfter(f"HTTP/1.1 202 Accepted\r\n{framing}\r\n\r\n".encode())

    with raw_subscriber(trickling) as server:
        connect(server.url).send(EVENT)

        assert trickling.hung_up.wait(20)
        assert server.requests == 1


def test_of_a_long_refusal_the_beginning_is_told(connect, scripted_server):
    server = scripted_server(answer("400 Bad", body=b"why " + b"x" * 100_000))

    with pytest.raises(DeliveryRejected, match="HTTP 400 'why xxx"):
        connect(server.url).send(EVENT)


def test_an_absurd_retry_after_is_none(connect, scripted_server):
    asks = answer("503 Busy", "Retry-After: Mon, 1 Jan 99999999999 00:00:00 GMT")
    sink = connect(scripted_server(asks, answer("202 Accepted")).url)

    sink.send(EVENT)

    assert sink.slept == [0.5]


def test_overrides_win_over_the_event(connect, scripted_server):
    server = scripted_server(answer("202 Accepted"))

    connect(server.url, overrides='{"extensions": {"tenant": "theirs"}}').send(EVENT)

    assert b"ce-tenant: theirs\r\n" in server.requests[0]


def test_an_event_no_header_can_carry_is_rejected(connect, scripted_server):
    server = scripted_server(answer("202 Accepted"))
    broken = CloudEvent(id="1", source="/test", type="t", datacontenttype="a/b\r\nX-Evil: 1")

    with pytest.raises(DeliveryRejected, match="cannot be written"):
        connect(server.url).send(broken)

    assert server.requests == []


@pytest.mark.parametrize(
    "url", ["", "broker", "ftp://broker", "http://", "/path", "http://[", "http://broker:99999/"]
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(SettingsInvalid, match="http or https"):
        connect_sink(url)


@pytest.mark.parametrize("url", ["http://me:secret@broker/", "http://me:secret@broker:99999/"])
def test_a_password_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(SettingsInvalid) as raised:
        connect_sink(url)
    assert "secret" not in str(raised.value)


def test_malformed_overrides_are_refused(unused_url):
    with pytest.raises(SettingsInvalid, match="K_CE_OVERRIDES"):
        connect_sink(unused_url, overrides="{")
