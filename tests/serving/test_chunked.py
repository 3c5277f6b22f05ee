from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.buffers import BytesIOBasedBuffer
from waitress.receiver import ChunkedReceiver

from rookery.errors import RequestInvalid
from rookery.serving.chunked import ChunkedBody

NEXT = b"GET / HTTP/1.1\r\n\r\n"


class Buffer(BytesIO):
    append = BytesIO.write


def encode(chunks, *, extension=b"", trailer=b""):
    lines = [b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks]
    return b"".join(lines) + b"0\r\n" + trailer + b"\r\n"


def decode(*parts):
    """Decode *parts* as they arrive; return data, and what was left for the next request."""
    buffer = Buffer()
    body = ChunkedBody(buffer)
    left = b""
    for part in parts:
        taken = 0 if body.completed else body.received(part)
        left += part[taken:]
        assert taken == len(part) or body.completed
    assert len(body) == len(buffer.getvalue())
    return buffer.getvalue(), body.completed, left


def cut(data, places):
    """Cut *data* at *places*."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=8),
    places=st.lists(st.integers(0, 10_000), max_size=20),
    extension=st.sampled_from([b"", b";a=b", b';a="b;c"']),
    trailer=st.sampled_from([b"", b"X-Sum: 1\r\n"]),
)
def test_however_it_is_cut_the_data_is_what_was_sent(chunks, places, extension, trailer):
    sent = encode(chunks, extension=extension, trailer=trailer) + NEXT
    assert decode(*cut(sent, places)) == (b"".join(chunks), True, NEXT)


@given(
    st.lists(
        st.sampled_from(
            [b"0", b"3", b"1", b"\r\n", b"\r", b"\n", b"abc", b"a", b";x", b"g", b"-1", b" "]
        ),
        max_size=20,
    )
)
def test_what_is_taken_is_what_waitress_takes_too(pieces):
    sent = b"".join(pieces)
    theirs = ChunkedReceiver(BytesIOBasedBuffer())
    consumed = theirs.received(sent)
    try:
        data, completed, left = decode(sent)
    except RequestInvalid:
        return  # we are stricter
    if completed:
        assert theirs.completed
        assert theirs.error is None
        assert (theirs.getfile().read(), sent[consumed:]) == (data, left)


@pytest.mark.parametrize(
    "sent",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"\r\n",
        b" 1\r\n",
        b"0 \r\n",
        b"1;a\nb\r\n",
        b"1\r\nab\r\n",
        b"1\r\nabc",
        b"1" * 16 + b"\r\n",
    ],
)
def test_what_is_no_chunk_is_refused(sent):
    with pytest.raises(RequestInvalid, match="chunk"):
        decode(sent + b"xxxx\r\n" * 2)


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"1\r\nx\r\n", id="chunks of a byte"),
        pytest.param(b"0", id="a size"),
        pytest.param(b"1;x\r\na\r\n", id="extensions"),
        pytest.param(b";x", id="an extension"),
    ],
)
def test_frames_without_content_are_refused_early(endless):
    with pytest.raises(RequestInvalid):
        decode(b"1;", *[endless * 100] * 1000)


@pytest.mark.parametrize("endless", [b"x", b"X: y\r\n"])
def test_an_endless_trailer_is_refused(endless):
    with pytest.raises(RequestInvalid):
        decode(b"0\r\n", *[endless * 100] * 1000)


def test_small_chunks_go_on_for_ever():
    body = ChunkedBody(Buffer())
    for _ in range(500):
        body.received((b"40\r\n" + b"x" * 64 + b"\r\n") * 100)
    assert len(body) == 500 * 100 * 64


def test_one_byte_at_a_time_is_remembered():
    sent = encode([b"abc", b"d"])
    assert decode(*(bytes([byte]) for byte in sent)) == (b"abcd", True, b"")
