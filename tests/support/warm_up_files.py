"""Writes what TensorFlow Serving records: requests to warm a model up with."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rookery import protobuf
from rookery.models.tfrecord import to_record
from rookery.models.warmup_requests import WARM_UP_FILE
from rookery.protobuf import length, varint


def predict_log(inputs: Mapping[str, bytes], signature: str = "serving_default") -> bytes:
    """Encode a PredictionLog; *inputs* are TensorProto messages."""
    spec = protobuf.encode([length(1, b"tiny"), length(3, signature.encode())])
    entries = [
        length(2, protobuf.encode([length(1, name.encode()), length(2, tensor)]))
        for name, tensor in inputs.items()
    ]
    request = protobuf.encode([length(1, spec), *entries])
    return protobuf.encode([length(6, protobuf.encode([length(1, request)]))])


def tensor(dtype: int, sizes: Iterable[int], *fields: protobuf.Field) -> bytes:
    """Encode a TensorProto of TensorFlow's type number *dtype*."""
    dimensions = [length(2, protobuf.encode([varint(1, size)])) for size in sizes]
    return protobuf.encode([varint(1, dtype), length(2, protobuf.encode(dimensions)), *fields])


def write_requests(directory: Path, records: Iterable[bytes]) -> Path:
    """Write *records* where a model version in *directory* keeps them."""
    path = directory / WARM_UP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(to_record, records)))
    return path
