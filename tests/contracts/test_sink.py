"""What every Sink keeps: one suite, run on each adapter."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from rookery.errors import DeliveryRejected, SinkUnavailable
from rookery.events.wire import CloudEvent


def event(name="1"):
    return CloudEvent(
        id=name,
        source="/test",
        type="test.v1",
        subject="a b+é%/x.jpg",
        datacontenttype="application/json",
        extensions={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        data=b'{"a": 1}',
    )


def test_an_event_arrives_as_it_was_sent(sinks):
    sinks.sink.send(event())

    assert sinks.received() == [event()]


def test_a_final_refusal_is_rejected(sinks):
    sinks.refuse()

    with pytest.raises(DeliveryRejected):
        sinks.sink.send(event())


def test_a_sink_that_is_down_is_unavailable(sinks):
    sinks.break_down()

    with pytest.raises(SinkUnavailable):
        sinks.sink.send(event())


def test_it_accepts_again_after_a_failure(sinks):
    sinks.break_down()
    with pytest.raises(SinkUnavailable):
        sinks.sink.send(event("1"))

    sinks.sink.send(event("2"))

    assert [e.id for e in sinks.received()] == ["2"]


def test_threads_send_at_once(sinks):
    names = {str(n) for n in range(50)}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: sinks.sink.send(event(name)), names))

    assert {e.id for e in sinks.received()} == names
