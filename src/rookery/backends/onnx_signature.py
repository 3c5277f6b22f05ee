"""What an ONNX model takes and gives, read from the file without any library.

Field numbers are those of onnx.proto3, message ModelProto.
"""

from typing import Final

from rookery import protobuf
from rookery.backends.protocol import Signature, TensorSpec
from rookery.errors import ModelInvalid

# ModelProto, GraphProto, ValueInfoProto, TypeProto, TypeProto.Tensor, TensorShapeProto.Dimension.
_GRAPH: Final = 7
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12
_NAME, _TYPE = 1, 2
_TENSOR_TYPE: Final = 1
_ELEMENT, _SHAPE = 1, 2
_DIMENSION, _VALUE = 1, 1
# TensorProto.
_TENSOR_NAME, _EXTERNAL = 8, 13
# TensorProto.DataType, as numpy calls it.
_DTYPES: Final = {1: "float32", 2: "uint8", 6: "int32", 7: "int64", 8: "string", 10: "float16"}


def onnx_signature(data: bytes, where: str) -> Signature:
    """Return what the ONNX model *data* takes and gives, as it stands in it.

    Raises:
        ModelInvalid: it is no ONNX model, is damaged, or keeps its weights in other files;
            *where* names the file.
    """
    try:
        graph = [
            field
            for found in protobuf.every(protobuf.parse(data), _GRAPH)
            for field in protobuf.parse(found)
        ]
        weights = [protobuf.parse(tensor) for tensor in protobuf.every(graph, _INITIALIZER)]
        names = {name for tensor in weights for name in protobuf.every(tensor, _TENSOR_NAME)}
        elsewhere = any(protobuf.every(tensor, _EXTERNAL) for tensor in weights)
        inputs = [_value(value) for value in protobuf.every(graph, _INPUT)]
        outputs = [_value(value) for value in protobuf.every(graph, _OUTPUT)]
    except ValueError as exc:
        raise ModelInvalid(f"{where} is no ONNX model, or a damaged one: {exc}") from exc
    if not graph:
        raise ModelInvalid(f"{where} is no ONNX model: it holds no graph")
    if elsewhere:
        raise ModelInvalid(
            f"{where} keeps its weights in other files; make one file of it: "
            "onnx.save(onnx.load('model.onnx'), 'one.onnx')"
        )
    return Signature(
        # Old files list the weights among the inputs.
        inputs=tuple(one for one in inputs if one.name.encode() not in names),
        outputs=tuple(outputs),
    )


def _value(data: bytes) -> TensorSpec:
    fields = protobuf.parse(data)
    (name,) = protobuf.every(fields, _NAME)
    kinds = [protobuf.parse(one) for one in protobuf.every(fields, _TYPE)]
    tensors = [protobuf.parse(one) for kind in kinds for one in protobuf.every(kind, _TENSOR_TYPE)]
    element = protobuf.integer(tensors[0], _ELEMENT) if tensors else 0
    shapes = protobuf.every(tensors[0], _SHAPE) if tensors else []
    dimensions = protobuf.every(protobuf.parse(shapes[0]), _DIMENSION) if shapes else []
    # 0 is a dimension with a name, or none at all.
    sizes = tuple(protobuf.integer(protobuf.parse(one), _VALUE) or None for one in dimensions)
    return TensorSpec(name.decode(), _DTYPES.get(element, f"type {element}"), sizes)
