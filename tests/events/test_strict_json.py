import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import EventInvalid
from rookery.events.strict_json import MAX_DEPTH, parse, serialize

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


def nested(depth):
    return "[" * depth + "]" * depth


@given(json_values)
def test_what_is_serialized_is_parsed_back(value):
    assert parse(serialize(value)) == value


@given(json_values, st.booleans())
def test_text_and_bytes_of_json_are_read_alike(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        from_bytes = parse(text)
    except EventInvalid:
        assert not ascii_only  # UTF-8 has no lone surrogates
        return
    assert from_bytes == parse(text.decode())


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"nonsense", b"1" * 5000, b"9" * 309, b"-" + b"9" * 309,
        b"NaN", b"[Infinity]", b"[-Infinity]", b"1e999", b'{"a":1} x',
        b"\xff\xfe", '{"a":1}'.encode("utf-16"), b'"unterminated', b'"\\', b"\xed\xa0\x80",
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(text):
    with pytest.raises(EventInvalid, match="the body is not JSON"):
        parse(text)


@pytest.mark.parametrize("number", [10**308, -(10**308), 2**64, 0])
def test_whole_numbers_that_a_double_can_hold_are_read_exactly(number):
    assert parse(str(number)) == number


def test_the_error_names_what_was_read():
    with pytest.raises(EventInvalid, match="record 3 is not JSON"):
        parse("{", what="record 3")


def test_a_byte_order_mark_is_no_error():
    assert parse(b"\xef\xbb\xbf{}") == {}


def test_the_deepest_document_allowed_is_parsed():
    assert serialize(parse(nested(MAX_DEPTH))) == nested(MAX_DEPTH).encode()


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize("prefix", ["", '["\\"", ', '["\\\\", ', '["[[[]]]{{{", '])
def test_deeper_documents_are_refused(depth, prefix):
    with pytest.raises(EventInvalid, match="nests deeper than 100 levels"):
        parse(prefix + nested(depth) + "]" * bool(prefix))


@pytest.mark.parametrize(
    "text", ["[" * 500, '\\"' + "[" * 500, '[\\"[[' * 500, '\\\\"' + "[{" * 500]
)
def test_brackets_inside_a_string_are_no_depth(text):
    assert parse(json.dumps([text] * 3)) == [text] * 3


def test_many_brackets_side_by_side_are_no_depth():
    assert parse(json.dumps([[{}]] * 1000)) == [[{}]] * 1000


def test_a_lone_surrogate_is_written_as_an_escape():
    assert serialize({"key": "\ud800é"}) == b'{"key":"\\ud800\\u00e9"}'
