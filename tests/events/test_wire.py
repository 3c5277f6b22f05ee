import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import EventInvalid, UnsupportedMedia
from rookery.events.attributes import is_legal
from rookery.events.strict_json import serialize
from rookery.events.wire import (
    BATCH,
    STRUCTURED,
    CloudEvent,
    from_http,
    is_event,
    to_batch,
    to_binary,
    to_document,
    to_structured,
)

HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
DOCUMENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
EVENT = CloudEvent(id="1", source="/s", type="t")

legal_text = st.text(max_size=40).filter(is_legal)
some_text = legal_text.filter(bool)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
json_types = st.sampled_from(["application/json", "text/json; charset=utf-8", "application/x+json"])
binary_types = st.sampled_from(["image/jpeg", "text/plain", "application/xml; charset=utf-8"])
content = st.one_of(
    st.tuples(json_types, json_values.map(serialize)),
    st.tuples(json_types, st.binary(max_size=30).filter(lambda data: not data.isascii())),
    st.tuples(binary_types, st.binary(max_size=30)),
    st.just((None, b"")),
)
times = st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat()).filter(
    lambda text: len(text.rpartition("+")[2].rpartition("-")[2]) == 5 and "T" in text
)  # fmt: skip
extensions = st.dictionaries(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20).filter(
        lambda name: name not in {*CloudEvent.__dataclass_fields__, "specversion"}
    ),
    legal_text,
    max_size=4,
)


@st.composite
def events(draw):
    content_type, data = draw(content)
    return CloudEvent(
        id=draw(some_text),
        source=draw(some_text),
        type=draw(some_text),
        subject=draw(st.none() | some_text),
        time=draw(st.none() | times),
        datacontenttype=content_type,
        dataschema=draw(st.none() | some_text),
        extensions=draw(extensions),
        data=data,
    )


def structured(**members):
    return from_http({"Content-Type": STRUCTURED}, json.dumps(DOCUMENT | members).encode())[0]


def binary(data=b"", **headers):
    extra = {f"ce-{name}": value for name, value in headers.items()}
    return from_http(HEADERS | extra, data)[0]


# --- there and back


@given(events())
def test_binary_mode_brings_back_the_same_event(event):
    assert from_http(*to_binary(event)) == (event,)


@given(events())
def test_binary_mode_writes_visible_ascii_only(event):
    headers, _ = to_binary(event)
    assert all(
        value.isascii() and value.isprintable() and " " not in value
        for name, value in headers.items()
        if name != "Content-Type"
    )


@given(events())
def test_structured_mode_brings_back_the_same_event(event):
    assert from_http(*to_structured(event)) == (event,)


@given(st.lists(events(), max_size=4))
def test_batched_mode_brings_back_the_same_events(batch):
    assert from_http(*to_batch(batch)) == tuple(batch)


@pytest.mark.parametrize(
    ("data", "member"),
    [
        (b'{"a": 1}', {"data": {"a": 1}}),
        (b"null", {"data": None}),
        (b"NaN", {"data_base64": "TmFO"}),
        (b"1e999", {"data_base64": "MWU5OTk="}),
        (
            b"[" * 101 + b"]" * 101,
            {"data_base64": base64.b64encode(b"[" * 101 + b"]" * 101).decode()},
        ),
    ],
)
def test_json_data_is_embedded_where_it_is_json(data, member):
    event = replace(EVENT, datacontenttype="application/json", data=data)
    assert to_document(event) == DOCUMENT | {"datacontenttype": "application/json"} | member


def test_an_extension_never_replaces_an_attribute():
    assert replace(EVENT, extensions={"id": "2"}).attributes()["id"] == "1"


# --- which requests are events


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"CE-Id": "1"}, True),
        ({"ce-specversion": "1.0"}, True),
        ({"Content-Type": "application/cloudevents+json; charset=utf-8"}, True),
        ({"content-type": "Application/CloudEvents-Batch+JSON"}, True),
        ({"content-type": "application/cloudevents+avro"}, True),
        ({"content-type": "application/json"}, False),
        ({"ce-myext": "x"}, False),
        ({}, False),
    ],
)
def test_an_event_is_told_from_other_requests(headers, expected):
    assert is_event(headers) is expected


def test_another_event_format_is_unsupported_media():
    with pytest.raises(UnsupportedMedia, match=r"cloudevents\+avro"):
        from_http({"content-type": "application/cloudevents+avro"}, b"")


# --- binary mode


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%41%e2%82%ac", "A€"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ('"with space"', "with space"),
        (r'"a \"quoted\" \\ word%20"', 'a "quoted" \\ word '),
        ('"', '"'),
        ("", ""),
        ("é".encode().decode("latin-1"), "é"),
        ("É.jpg".encode().decode("latin-1"), "É.jpg"),
        ("\xe9", "é"),
        ("€", "€"),
    ],
)
def test_header_values_are_decoded(header, value):
    assert binary(ext=header).extensions == {"ext": value}


@pytest.mark.parametrize("value", ["%C0%A0", "%ff", "a%ED%A0%80"])
def test_percent_encoding_that_is_no_utf8_is_refused(value):
    with pytest.raises(EventInvalid, match="ce-ext is not percent-encoded UTF-8"):
        binary(ext=value)


@pytest.mark.parametrize("value", ["50%ff.jpg", "line%0Abreak.jpg"])
def test_a_subject_that_its_sender_did_not_encode_is_kept(value):
    assert binary(subject=value).subject == value


@pytest.mark.parametrize("value", ["a%0Ab", "a%00", "\x9f", "%EF%BF%BE"])
def test_characters_that_no_attribute_may_hold_are_refused(value):
    with pytest.raises(EventInvalid, match="ext must not hold control characters"):
        binary(ext=value)


def test_header_names_are_read_in_any_case():
    assert from_http({name.upper(): value for name, value in HEADERS.items()}, b"x")[0].data == b"x"


def test_a_header_sent_twice_with_different_values_is_refused():
    with pytest.raises(EventInvalid, match="'ce-id' is sent twice"):
        from_http({"Ce-Id": "2", **HEADERS}, b"")


def test_a_header_sent_twice_with_one_value_is_taken():
    assert from_http({"Ce-Id": "1", **HEADERS}, b"") == (EVENT,)


def test_the_content_type_header_alone_says_what_the_data_is():
    event = binary(b"{}", datacontenttype="text/plain")
    assert event.datacontenttype is None


def test_missing_attributes_are_all_named():
    with pytest.raises(
        EventInvalid, match=r"specversion must be 1\.0; it is missing; source is missing"
    ):
        from_http({"ce-id": "1", "ce-type": "t"}, b"")


# --- structured mode


@pytest.mark.parametrize(
    ("members", "content_type", "data"),
    [
        ({}, None, b""),
        ({"data": {"a": 1}}, "application/json", b'{"a":1}'),
        ({"data": None}, "application/json", b"null"),
        ({"data": "text"}, "application/json", b'"text"'),
        ({"data": "text", "datacontenttype": "text/plain"}, "text/plain", b"text"),
        ({"data": None, "datacontenttype": "text/plain"}, "text/plain", b""),
        ({"data": [1], "datacontenttype": "text/plain"}, "text/plain", b"[1]"),
        ({"data": "\ud800"}, "application/json", b'"\\ud800"'),
        ({"data_base64": "AP8="}, None, b"\x00\xff"),
        ({"data_base64": None, "data": 1}, "application/json", b"1"),
        ({"data_base64": "AP8=", "data": None}, None, b"\x00\xff"),
        ({"data_base64": "", "datacontenttype": "image/png"}, "image/png", b""),
        ({"datacontenttype": None, "data": 1}, "application/json", b"1"),
    ],
)
def test_structured_data_becomes_bytes(members, content_type, data):
    event = structured(**members)
    assert (event.datacontenttype, event.data) == (content_type, data)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"data_base64": "not base64!"}, "data_base64 is not base64"),
        ({"data_base64": "é"}, "data_base64 is not base64"),
        ({"data_base64": 5}, "data_base64 must be a string, not a number"),
        ({"data_base64": "AA==", "data": 1}, "data and data_base64 are both there"),
        ({"data": "\ud800", "datacontenttype": "text/plain"}, "lone surrogate"),
        ({"subject": "\ud800"}, "subject must not hold"),
        ({"a-b": 1}, "'a-b' is no attribute name"),
        ({"datacontenttype": ""}, "datacontenttype must not be empty"),
        ({"datacontenttype": 5}, "datacontenttype must be a media type"),
    ],
)
def test_a_broken_document_is_refused(members, problem):
    with pytest.raises(EventInvalid, match=problem):
        structured(**members)


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"null", b"{", b"[" * 5000, b'{"id": NaN}'])
def test_a_structured_body_that_is_no_event_is_refused(body):
    with pytest.raises(EventInvalid):
        from_http({"content-type": STRUCTURED}, body)


@given(st.binary(max_size=200))
def test_any_structured_body_is_an_event_or_refused(body):
    try:
        (event,) = from_http({"content-type": STRUCTURED}, body)
    except EventInvalid:
        return
    assert from_http(*to_structured(event)) == (event,)


@given(json_values, st.sampled_from([*DOCUMENT, "data", "data_base64", "time", "datacontenttype"]))
def test_any_member_value_is_taken_or_refused(value, name):
    body = json.dumps(DOCUMENT | {name: value}).encode()
    try:
        (event,) = from_http({"content-type": STRUCTURED}, body)
    except EventInvalid:
        return
    assert from_http(*to_binary(event)) == (event,)


# --- batched mode


def test_an_empty_batch_has_no_events():
    assert from_http({"content-type": BATCH}, b"[]") == ()


def test_a_batch_that_is_no_array_is_refused():
    with pytest.raises(EventInvalid, match="a batch is a JSON array, this is an object"):
        from_http({"content-type": BATCH}, b"{}")


def test_a_broken_event_of_a_batch_is_numbered():
    body = json.dumps([DOCUMENT, {"id": "2"}]).encode()
    with pytest.raises(EventInvalid, match="event 1 of the batch: not a CloudEvent"):
        from_http({"content-type": BATCH}, body)


def test_a_batch_over_the_limit_is_refused():
    with pytest.raises(EventInvalid, match="the batch has 3 events, the limit is 2"):
        from_http(*to_batch([EVENT] * 3), max_events=2)


# --- the data


@pytest.mark.parametrize("data", [b"", b"{", b"NaN", b"[" * 101 + b"]" * 101])
def test_data_that_is_no_json_is_refused(data):
    with pytest.raises(EventInvalid, match="the data of event '1'"):
        replace(EVENT, data=data).json()
