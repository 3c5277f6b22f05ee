import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import ModelInvalid
from rookery.models.tfrecord import crc32c, read_records, to_record


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("records") / "records"


# RFC 3720, B.4, and the check value of the polynomial.
@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_the_checksum_is_the_one_of_the_rfc(data, checksum):
    assert crc32c(data) == checksum


def slowly(data):
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@given(st.binary(max_size=3000))
def test_side_by_side_gives_the_same_checksum_as_bit_by_bit(data):
    assert crc32c(data) == slowly(data)


@given(st.lists(st.binary(max_size=200)))
def test_records_come_back(path, records):
    path.write_bytes(b"".join(map(to_record, records)))
    assert list(read_records(path)) == records


@given(st.lists(st.binary(max_size=50), min_size=1), st.data())
def test_a_changed_bit_is_found_and_what_stands_before_it_is_read(path, records, data):
    whole = b"".join(map(to_record, records))
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(flipped)
    read = []
    with pytest.raises(ModelInvalid, match=f"{path} is damaged"):
        read.extend(iter_into(read_records(path), read))
    assert read == records[: len(read)]


def iter_into(records, read):
    for record in records:
        read.append(record)
    return []


@given(st.lists(st.binary(max_size=50), min_size=1), st.data())
def test_a_cut_file_is_whole_records_or_damaged(path, records, data):
    whole = b"".join(map(to_record, records))
    cut = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:cut])
    read = []
    try:
        iter_into(read_records(path), read)
    except ModelInvalid:
        assert cut not in {len(b"".join(map(to_record, records[:n]))) for n in range(len(records))}
    assert read == records[: len(read)]


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (b"short", "no record starts at byte 19"),
        (bytes(12), "no record starts at byte 19"),
        (to_record(b"wxyz")[:12] + b"wxyz????", "the record at byte 19 is wrong"),
        (to_record(b"wxyz")[:-1], "the record at byte 19 ends at byte 39, the file at 38"),
    ],
    ids=["cut-header", "zeros", "checksum", "cut-data"],
)
def test_damage_is_named_with_its_place(tmp_path, tail, message):
    path = tmp_path / "records"
    path.write_bytes(to_record(b"abc") + tail)
    with pytest.raises(ModelInvalid, match=message):
        list(read_records(path))


def test_a_length_beyond_the_file_reserves_no_memory(tmp_path):
    path = tmp_path / "records"
    # Its checksum is right, so only the file's own size shows that it lies.
    header = to_record(bytes(8))[12:20]
    assert header == bytes(8)
    length = struct.pack("<Q", 1 << 62)
    path.write_bytes(length + masked(length))
    with pytest.raises(ModelInvalid, match="the file at 12"):
        list(read_records(path))


def masked(data):
    return to_record(data)[-4:]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelInvalid, match="absent cannot be read: No such file"):
        list(read_records(tmp_path / "absent"))


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
def test_tensorflow_writes_the_same_file(tmp_path):
    from rookery.backends.savedmodel import import_tensorflow

    records = [b"", b"one", bytes(range(256)) * 999]
    with import_tensorflow().io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in records:
            writer.write(record)
    assert (tmp_path / "theirs").read_bytes() == b"".join(map(to_record, records))
