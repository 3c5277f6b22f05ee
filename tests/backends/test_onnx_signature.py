"""What an ONNX file says of itself, read without a library, against the one that writes them."""

from contextlib import suppress

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from rookery.backends.onnx_signature import onnx_signature
from rookery.backends.protocol import TensorSpec
from rookery.errors import ModelInvalid


def model(inputs, outputs, weights=()):
    nodes = [helper.make_node("Identity", [inputs[0][0]], [outputs[0][0]])]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        list(weights),
    )
    return helper.make_model(graph)


PLAIN = model(
    [("image", TensorProto.FLOAT, ["n", 3, 224, 224])], [("scores", TensorProto.FLOAT, [1, 1000])]
)
DATA = PLAIN.SerializeToString()


def test_names_types_and_shapes_are_read():
    signature = onnx_signature(DATA, "net.onnx")
    assert signature.inputs == (TensorSpec("image", "float32", (None, 3, 224, 224)),)
    assert signature.outputs == (TensorSpec("scores", "float32", (1, 1000)),)


@pytest.mark.parametrize(
    ("element", "name"),
    [
        (TensorProto.UINT8, "uint8"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.INT64, "int64"),
        (TensorProto.BFLOAT16, "type 16"),
    ],
)
def test_other_types_are_named(element, name):
    data = model([("x", element, [1])], [("y", element, [1])]).SerializeToString()
    assert onnx_signature(data, "net.onnx").inputs[0].dtype == name


def test_a_shape_that_is_left_out_is_empty():
    data = model([("x", TensorProto.FLOAT, None)], [("y", TensorProto.FLOAT, None)])
    assert onnx_signature(data.SerializeToString(), "net.onnx").inputs[0].shape == ()


def test_weights_among_the_inputs_are_no_inputs():
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    inputs = [("x", TensorProto.FLOAT, [1]), ("w", TensorProto.FLOAT, [1])]
    data = model(inputs, [("y", TensorProto.FLOAT, [1])], [weight]).SerializeToString()
    assert [spec.name for spec in onnx_signature(data, "net.onnx").inputs] == ["x"]


def test_weights_in_other_files_say_what_to_do():
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], b"\0" * 4, raw=True)
    onnx.external_data_helper.set_external_data(weight, "../../etc/passwd")
    made = model([("x", TensorProto.FLOAT, [1])], [("y", TensorProto.FLOAT, [1])])
    made.graph.initializer.append(weight)
    with pytest.raises(ModelInvalid, match=r"weights in other files; make one file of it: onnx\."):
        onnx_signature(made.SerializeToString(), "net.onnx")


@pytest.mark.parametrize(
    "data", [b"", b"no model", DATA[:-3], onnx.ModelProto().SerializeToString()]
)
def test_what_is_no_model_is_refused_by_name(data):
    with pytest.raises(ModelInvalid, match=r"net\.onnx is no ONNX model"):
        onnx_signature(data, "net.onnx")


@given(st.binary(max_size=12), st.integers(0, len(DATA)))
def test_damage_is_refused_or_harmless(noise, at):
    # Any other error than a refusal fails the test.
    with suppress(ModelInvalid):
        onnx_signature(DATA[:at] + noise + DATA[at + len(noise) :], "net.onnx")
