import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.storage.ceph.queues import Queue, parse_head

# The first bytes of a queue of Ceph 16.2.15 that held one event, from 26501 to 27506.
CAPTURED = bytes.fromhex(
    "adde650000000000000001015f000000006000000000000001011000000000000000000000008567000000000000"
    "0101100000000000000000000000726b000000000000"
)


def test_a_captured_head_says_what_is_queued():
    queue = parse_head(CAPTURED)
    assert queue == Queue((0, 26501), (0, 27506))
    assert not queue.is_empty


def test_a_queue_whose_front_is_its_tail_is_empty():
    assert Queue((1, 5), (1, 5)).is_empty
    assert not Queue((0, 5), (1, 5)).is_empty  # it went once around


def test_more_bytes_than_the_head_do_no_harm():
    assert parse_head(CAPTURED + b"more") == parse_head(CAPTURED)


@given(st.binary(max_size=len(CAPTURED) + 8))
def test_other_bytes_are_refused_or_read(data):
    if len(data) >= len(CAPTURED) and data[:2] == CAPTURED[:2]:
        assert isinstance(parse_head(data), Queue)
    else:
        with pytest.raises(ValueError, match="queue"):
            parse_head(data)


@pytest.mark.parametrize("data", [b"", CAPTURED[:-1], b"\0" + CAPTURED[1:]])
def test_what_is_no_queue_is_refused(data):
    with pytest.raises(ValueError, match="queue"):
        parse_head(data)
