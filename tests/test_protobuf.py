import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import protobuf
from rookery.protobuf import FIXED32, FIXED64, LENGTH, VARINT, Field

NUMBERS = st.integers(1, (1 << 29) - 1)
FIELDS = st.lists(
    st.one_of(
        st.builds(Field, NUMBERS, st.just(VARINT), st.integers(0, (1 << 64) - 1)),
        st.builds(Field, NUMBERS, st.just(LENGTH), st.binary()),
        st.builds(Field, NUMBERS, st.just(FIXED64), st.binary(min_size=8, max_size=8)),
        st.builds(Field, NUMBERS, st.just(FIXED32), st.binary(min_size=4, max_size=4)),
    )
)


@given(FIELDS)
def test_fields_come_back_in_their_order(fields):
    assert protobuf.parse(protobuf.encode(fields)) == fields


@given(st.binary())
def test_bytes_are_a_message_or_refused(data):
    try:
        fields = protobuf.parse(data)
    except ValueError:
        return
    assert protobuf.parse(protobuf.encode(fields)) == fields


@given(FIELDS, st.data())
def test_a_cut_message_is_refused_or_has_fewer_fields(fields, data):
    whole = protobuf.encode(fields)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        assert protobuf.parse(cut) == fields[: len(protobuf.parse(cut))]
    except ValueError:
        assert cut != whole


@pytest.mark.parametrize(
    ("data", "field"),
    [
        # The two examples of the specification.
        (b"\x08\x96\x01", Field(1, VARINT, 150)),
        (b"\x12\x07testing", Field(2, LENGTH, b"testing")),
        (b"\x09" + bytes(8), Field(1, FIXED64, bytes(8))),
        (b"\x0d" + bytes(4), Field(1, FIXED32, bytes(4))),
        (b"\x08" + b"\xff" * 9 + b"\x01", protobuf.varint(1, -1)),
    ],
)
def test_a_field_is_written_as_specified(data, field):
    assert protobuf.parse(data) == [field]
    assert protobuf.encode([field]) == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x08", "ends inside the number at byte 1"),
        (b"\x08\x80", "ends inside the number at byte 1"),
        (b"\x08" + b"\x80" * 10 + b"\x01", "longer than 64 bits"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "longer than 64 bits"),
        (b"\x12\x07test", "field 2 has 7 bytes, but the message ends after 4"),
        (b"\x09\x00", "field 1 has 8 bytes, but the message ends after 1"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x00", "number 0"),
    ],
)
def test_a_malformed_message_is_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        protobuf.parse(data)


def test_the_last_of_several_integers_counts():
    fields = [protobuf.varint(1, 5), protobuf.varint(2, 6), protobuf.varint(1, 7)]
    assert protobuf.integer(fields, 1) == 7
    assert protobuf.integer(fields, 3, default=9) == 9


def test_every_text_of_a_repeated_field_is_found():
    fields = [protobuf.length(1, b"a"), protobuf.length(2, b"b"), protobuf.length(1, b"c")]
    assert protobuf.every(fields, 1) == [b"a", b"c"]


def test_a_field_of_the_other_kind_is_refused():
    with pytest.raises(ValueError, match="field 1 has the wire type 2"):
        protobuf.integer([protobuf.length(1, b"")], 1)
    with pytest.raises(ValueError, match="field 1 is a varint"):
        protobuf.every([protobuf.varint(1, 0)], 1)


@given(st.lists(st.integers(0, (1 << 64) - 1)))
def test_packed_numbers_come_back(values):
    fields = protobuf.encode(Field(1, VARINT, value) for value in values)
    # A field of number 1 is its one-byte key and the number.
    alone = b"".join(protobuf.encode([protobuf.varint(1, value)])[1:] for value in values)
    assert len(fields) == len(alone) + len(values)
    assert protobuf.packed(alone) == values
