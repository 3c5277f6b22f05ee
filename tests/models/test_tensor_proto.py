import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rookery import protobuf
from rookery.models.tensor_proto import to_array
from rookery.protobuf import FIXED32, Field, length, varint
from warm_up_files import tensor

FLOAT, INT32, UINT8, STRING, INT64, HALF = 1, 3, 4, 7, 9, 19


def packed(*values):
    return b"".join(protobuf.encode([varint(1, value)])[1:] for value in values)


@pytest.mark.parametrize(
    ("message", "dtype", "expected"),
    [
        (tensor(FLOAT, (2,), length(4, np.float32([1, 2]).tobytes())), "float32", [1, 2]),
        (tensor(FLOAT, (2,), length(5, np.float32([1, 2]).tobytes())), "float32", [1, 2]),
        (
            tensor(FLOAT, (2,), *(Field(5, FIXED32, np.float32(n).tobytes()) for n in (1, 2))),
            "float32",
            [1, 2],
        ),
        (tensor(UINT8, (3,), length(7, packed(1, 2, 255))), "uint8", [1, 2, 255]),
        (tensor(INT32, (2,), varint(7, -1), varint(7, 5)), "int32", [-1, 5]),
        (tensor(INT64, (1,), length(10, packed((1 << 64) - 2))), "int64", [-2]),
        (tensor(HALF, (2,), length(13, packed(0x3C00, 0xC000))), "float16", [1, -2]),
        (
            tensor(FLOAT, (2, 2), length(5, np.float32([1, 3]).tobytes())),
            "float32",
            [[1, 3], [3, 3]],
        ),
        (tensor(INT32, (2, 1)), "int32", [[0], [0]]),
        (tensor(FLOAT, (0,)), "float32", []),
        (tensor(FLOAT, (), length(5, np.float32(7).tobytes())), "float32", 7),
    ],
    ids=[
        "content", "packed", "one-by-one", "bytes", "negative", "negative-64", "half",
        "last-repeats", "no-values", "empty", "scalar",
    ],
)  # fmt: skip
def test_a_tensor_is_read(message, dtype, expected):
    found = to_array(message)
    assert (found.dtype.name, found.tolist()) == (dtype, expected)


def test_strings_are_bytes():
    message = tensor(STRING, (2, 1), length(8, b"\xff\xd8"), length(8, b""))
    assert to_array(message).tolist() == [[b"\xff\xd8"], [b""]]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\xff", "ends inside"),
        (tensor(8, (1,)), "type 8 is not read"),
        (tensor(0, (1,)), "type 0 is not read"),
        (tensor(FLOAT, (1 << 20, 1 << 20)), "too large to warm up with"),
        (tensor(FLOAT, (-1,)), "too large, or none"),
        (tensor(FLOAT, (0, 1 << 60)), "too large, or none"),
        (
            protobuf.encode([varint(1, FLOAT), length(2, protobuf.encode([varint(3, 1)]))]),
            "no shape",
        ),
        (tensor(FLOAT, (2,), length(4, bytes(4))), r"shape \(2,\) holds 1 values"),
        (tensor(FLOAT, (1,), length(4, bytes(3))), "no whole number"),
        (tensor(FLOAT, (1,), length(5, bytes(8))), r"shape \(1,\) holds 2 values"),
        (tensor(STRING, (1,), length(4, b"\x01a")), "packed, which is not read"),
    ],
)
def test_a_tensor_that_cannot_be_read_is_refused(message, reason):
    with pytest.raises(ValueError, match=reason):
        to_array(message)


@given(st.binary(max_size=100))
def test_bytes_are_a_tensor_or_refused(data):
    try:
        found = to_array(data)
    except ValueError:
        return
    assert isinstance(found, np.ndarray)


DTYPES = st.sampled_from(["f4", "f8", "f2", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"])
ARRAYS = DTYPES.flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0))
)


@pytest.fixture(scope="module")
def tf():
    from rookery.backends.savedmodel import import_tensorflow

    return import_tensorflow()


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
@given(ARRAYS)
def test_every_tensor_of_tensorflow_is_read_as_it_was(tf, array):
    found = to_array(tf.make_tensor_proto(array).SerializeToString())
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
def test_what_tensorflow_shortens_is_read_whole(tf):
    message = tf.make_tensor_proto(3, tf.float32, shape=(2, 3)).SerializeToString()
    assert len(message) < 6 * 4
    assert np.array_equal(to_array(message), np.full((2, 3), 3, np.float32))
