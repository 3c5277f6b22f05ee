"""The requests a model brings along to be warmed up with, as TensorFlow Serving records them.

The file is a TFRecord of PredictionLog messages inside the SavedModel. It is read without
TensorFlow, so that it warms every backend.
(tensorflow.org/tfx/serving/saved_model_warmup; tensorflow_serving/apis/prediction_log.proto)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery import protobuf
from rookery.errors import ModelInvalid
from rookery.models.tensor_proto import to_array
from rookery.models.tfrecord import read_records

WARM_UP_FILE: Final = Path("assets.extra", "tf_serving_warmup_requests")
"""Where the file lies in a model version's folder."""
MAX_RECORDS: Final = 1000
"""TensorFlow Serving's own limit."""

_DEFAULT_SIGNATURE: Final = "serving_default"
_METADATA: Final = 1
_PREDICT_LOG: Final = 6
_KINDS: Final = {
    2: "a classify log",
    3: "a regress log",
    4: "a multi-inference log",
    5: "a session run log",
    7: "a streamed predict log",
}
_REQUEST: Final = 1
_MODEL_SPEC: Final = 1
_SIGNATURE_NAME: Final = 3
_INPUTS: Final = 2
_KEY: Final = 1
_VALUE: Final = 2


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """A recorded request: the signature to run, and its input tensors by name."""

    signature: str
    inputs: Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A record that is no request to run, and why."""

    reason: str


def read_requests(path: Path) -> Iterator[PredictRequest | Unusable]:
    """Yield what each record of *path* holds, one in memory at a time.

    Raises:
        ModelInvalid: the file cannot be read, is damaged, or holds more than `MAX_RECORDS`; what
            stands before that place was yielded.
    """
    for count, record in enumerate(read_records(path)):
        if count == MAX_RECORDS:
            raise ModelInvalid(f"{path} holds more than {MAX_RECORDS:,} requests")
        try:
            yield _request(record)
        except ValueError as exc:
            yield Unusable(str(exc))


def _request(record: bytes) -> PredictRequest | Unusable:
    fields = protobuf.parse(record)
    logs = protobuf.every(fields, _PREDICT_LOG)
    if not logs:
        kinds = [_KINDS.get(field.number) for field in fields if field.number != _METADATA]
        found = next((kind for kind in kinds if kind is not None), "no log of a request")
        return Unusable(f"it is {found}; predict logs are run")
    # A message that stands several times is their fields one after the other.
    request = protobuf.parse(_joined(logs, _REQUEST))
    spec = protobuf.parse(_joined([protobuf.encode(request)], _MODEL_SPEC))
    names = protobuf.every(spec, _SIGNATURE_NAME)
    inputs: dict[str, NDArray[np.generic]] = {}
    for entry in protobuf.every(request, _INPUTS):
        fields = protobuf.parse(entry)
        name = b"".join(protobuf.every(fields, _KEY)[-1:]).decode()
        inputs[name] = to_array(b"".join(protobuf.every(fields, _VALUE)))
    signature = names[-1].decode() if names else ""
    return PredictRequest(signature or _DEFAULT_SIGNATURE, inputs)


def _joined(messages: list[bytes], number: int) -> bytes:
    return b"".join(
        value for message in messages for value in protobuf.every(protobuf.parse(message), number)
    )
