import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import protobuf
from rookery.errors import ModelInvalid
from rookery.models.tfrecord import to_record
from rookery.models.warmup_requests import MAX_RECORDS, PredictRequest, Unusable, read_requests
from rookery.protobuf import length
from warm_up_files import predict_log, tensor, write_requests

FLOAT = 1
ONE = tensor(FLOAT, (1,), length(5, np.float32([7]).tobytes()))

# Written by tensorflow-serving-api 2.21: float32 of shape (1, 1, 2, 3), two strings, a filter.
RECORDED = bytes.fromhex(
    "0a130a060a0474696e79120909000000000000f03f327a0a780a1b0a0474696e79120208011a0f73657276696e67"
    "5f64656661756c7412370a05696d616765122e08011210120208011202080112020802120208032218000000000000"
    "803f0000004000004040000080400000a04012180a056e616d6573120f08071204120208024202ffd84201781a0673"
    "636f726573"
)


def requests_of(tmp_path, *records):
    return list(read_requests(write_requests(tmp_path, records)))


def test_what_tensorflow_serving_recorded_is_read(tmp_path):
    (request,) = requests_of(tmp_path, RECORDED)
    assert request.signature == "serving_default"
    assert request.inputs["image"].tolist() == [[[[0, 1, 2], [3, 4, 5]]]]
    assert request.inputs["image"].dtype == np.float32
    assert request.inputs["names"].tolist() == [b"\xff\xd8", b"x"]


def test_requests_come_in_their_order(tmp_path):
    found = requests_of(tmp_path, *(predict_log({name: ONE}) for name in "abc"))
    assert [list(request.inputs) for request in found] == [["a"], ["b"], ["c"]]


def test_no_signature_is_the_default_one(tmp_path):
    (request,) = requests_of(tmp_path, predict_log({"image": ONE}, signature=""))
    assert request.signature == "serving_default"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (protobuf.encode([length(2, b"")]), "a classify log"),
        (protobuf.encode([length(1, b""), length(3, b"")]), "a regress log"),
        (protobuf.encode([length(4, b"")]), "a multi-inference log"),
        (protobuf.encode([length(5, b"")]), "a session run log"),
        (protobuf.encode([length(7, b"")]), "a streamed predict log"),
        (b"", "no log of a request"),
        (b"\xff", "ends inside the number"),
        (predict_log({"image": tensor(8, (1,))}), "TensorFlow's type 8 is not read"),
        (protobuf.encode([protobuf.varint(6, 1)]), "field 6 is a varint"),
        (predict_log({"image": ONE}).replace(b"image", b"\xff\xffage"), "utf-8"),
    ],
)
def test_what_is_no_request_to_run_says_why_and_the_next_is_read(tmp_path, record, reason):
    unusable, usable = requests_of(tmp_path, record, predict_log({"image": ONE}))
    assert isinstance(unusable, Unusable)
    assert reason in unusable.reason
    assert isinstance(usable, PredictRequest)


def test_more_requests_than_tensorflow_serving_takes_are_not_read(tmp_path):
    path = write_requests(tmp_path, [b""] * (MAX_RECORDS + 1))
    requests = read_requests(path)
    assert sum(1 for _, _ in zip(range(MAX_RECORDS), requests, strict=False)) == MAX_RECORDS
    with pytest.raises(ModelInvalid, match="holds more than 1,000 requests"):
        next(requests)


def test_as_many_requests_as_tensorflow_serving_takes_are_read(tmp_path):
    assert len(requests_of(tmp_path, *[b""] * MAX_RECORDS)) == MAX_RECORDS


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("recorded") / "requests"


@given(st.binary(max_size=100))
def test_any_record_is_a_request_or_has_a_reason(path, record):
    path.write_bytes(to_record(record))
    (found,) = read_requests(path)
    assert isinstance(found, PredictRequest | Unusable)


@given(st.integers(0, len(RECORDED) - 1), st.integers(0, 255))
def test_a_request_with_one_wrong_byte_is_a_request_or_has_a_reason(path, place, byte):
    path.write_bytes(to_record(RECORDED[:place] + bytes([byte]) + RECORDED[place + 1 :]))
    (found,) = read_requests(path)
    assert isinstance(found, PredictRequest | Unusable)
