"""The CloudEvents SDK that functions-framework pins, as the peer on the other side."""

import json

import pytest
from cloudevents.conversion import to_binary as sdk_to_binary
from cloudevents.conversion import to_structured as sdk_to_structured
from cloudevents.http import CloudEvent as SdkEvent
from cloudevents.http import from_http as sdk_from_http

from rookery.events.wire import CloudEvent, from_http, to_binary, to_structured

ATTRIBUTES = {
    "id": "A234-1234",
    "source": "/mycontext",
    "type": "com.example.someevent",
    "subject": "dir/photo.jpg",
    "time": "2018-04-05T17:31:00+00:00",
    "datacontenttype": "application/json",
    "dataschema": "urn:example",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
DATA = {"label": "café", "scores": [0.5, 1], "none": None}
EVENT = CloudEvent(
    **{name: value for name, value in ATTRIBUTES.items() if name != "traceparent"},
    extensions={"traceparent": ATTRIBUTES["traceparent"]},
    data=json.dumps(DATA, separators=(",", ":"), ensure_ascii=False).encode(),
)


@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_the_sdk_reads_what_we_write(write):
    headers, body = write(EVENT)
    read = sdk_from_http(headers, body)
    assert (dict(read.get_attributes()), read.get_data()) == (
        ATTRIBUTES | {"specversion": "1.0"},
        DATA,
    )


@pytest.mark.parametrize("write", [sdk_to_binary, sdk_to_structured])
def test_we_read_what_the_sdk_writes(write):
    headers, body = write(SdkEvent(ATTRIBUTES, DATA))
    (read,) = from_http(headers, body)
    assert (read.attributes(), read.json()) == (EVENT.attributes(), DATA)


@pytest.mark.parametrize(
    ("content_type", "data"), [("image/jpeg", b"\xff\xd8\xff\xe0"), ("text/plain", "text")]
)
@pytest.mark.parametrize("write", [sdk_to_binary, sdk_to_structured])
def test_we_read_other_data_that_the_sdk_writes(write, content_type, data):
    headers, body = write(SdkEvent(ATTRIBUTES | {"datacontenttype": content_type}, data), bytes_of)
    (read,) = from_http(headers, body)
    assert (read.datacontenttype, read.data) == (content_type, bytes_of(data))


@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_the_sdk_reads_bytes_that_we_write(write):
    event = CloudEvent(
        id="1", source="/s", type="t", datacontenttype="image/jpeg", data=b"\xff\xd8\xff\xe0"
    )
    headers, body = write(event)
    assert sdk_from_http(headers, body, data_unmarshaller=bytes).get_data() == event.data


@pytest.mark.parametrize("write", [sdk_to_binary, sdk_to_structured])
def test_we_read_an_event_without_data(write):
    headers, body = write(SdkEvent({"source": "/s", "type": "t"}, None))
    (read,) = from_http(headers, body or b"")
    assert read.data == b""


def bytes_of(data):
    return data.encode() if isinstance(data, str) else data
