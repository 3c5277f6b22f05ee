"""A tiny model, made once in every format, and its card."""

from pathlib import Path

import numpy as np
import pytest

from rookery.images.preprocessing import Preprocessing
from rookery.models.card import ModelCard

CARD = ModelCard(
    name="tiny",
    version=1,
    architecture="mean color",
    license="CC0-1.0",
    source="made for a test",
    format="savedmodel",
    signature="serving_default",
    output="scores",
    activation="probabilities",
    labels="labels.txt",
    classes=3,
    input=Preprocessing(height=8, width=6),
)
GAIN = [1.0, 2.0, 3.0]


@pytest.fixture(scope="session")
def card() -> ModelCard:
    return CARD


@pytest.fixture(scope="session")
def expected():
    """What the model gives for a batch, (n, 8, 6, 3), by arithmetic."""

    def softmax(batch):
        exponentials = np.exp(batch.mean((1, 2)) * np.array(GAIN, np.float32))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    return softmax


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, as_onnx) -> Path:
    """(n, 8, 6, 3) float32 to softmax of the mean color.

    The SavedModel also gives `mean`; the ONNX model takes planes, (n, 3, 8, 6).
    """
    import openvino

    from rookery.backends.freezing import freeze
    from rookery.backends.savedmodel import import_tensorflow

    tf = import_tensorflow()
    module = tf.Module()
    module.gain = tf.Variable(GAIN)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 6, 3), tf.float32, name="image")])
    def serve(image):
        mean = tf.reduce_mean(image, axis=[1, 2])
        return {"scores": tf.nn.softmax(mean * module.gain), "mean": mean}

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 8, 6, 3), tf.float32, name="left"),
            tf.TensorSpec((None, 8, 6, 3), tf.float32, name="right"),
        ]
    )
    def compare(left, right):
        return {"scores": tf.reduce_mean(left - right, axis=[1, 2])}

    directory = tmp_path_factory.mktemp("models") / "tiny"
    signatures = {"serving_default": serve, "compare": compare}
    tf.saved_model.save(module, str(directory), signatures=signatures)
    graph = freeze(lambda image: serve(image)["scores"], (None, 8, 6, 3), "scores")
    (directory / "frozen.pb").write_bytes(graph.SerializeToString())
    (directory / "model.onnx").write_bytes(as_onnx())
    core = openvino.Core()
    openvino.save_model(core.read_model(directory), directory / "model.xml", compress_to_fp16=False)
    return directory


@pytest.fixture(scope="session")
def as_onnx():
    """Make the same network as ONNX: its image of any shape, its last operation of any name."""

    def model(shape=("n", 3, 8, 6), last="Softmax"):
        from onnx import TensorProto, helper, numpy_helper

        axes = [axis for axis, size in enumerate(shape) if size in (8, 6)]
        domain = "" if last == "Softmax" else "own"
        nodes = [
            helper.make_node("ReduceMean", ["image"], ["mean"], axes=axes, keepdims=0),
            helper.make_node("Mul", ["mean", "gain"], ["logits"]),
            helper.make_node(last, ["logits"], ["scores"], domain=domain),
        ]
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [shape[0], 3])],
            [numpy_helper.from_array(np.array(GAIN, np.float32), "gain")],
        )
        versions = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
        return helper.make_model(graph, opset_imports=versions, ir_version=8).SerializeToString()

    return model
