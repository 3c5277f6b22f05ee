"""`rookery models import`, one network in every format that users bring."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rookery.backends.registry import create_backend
from rookery.models.integrity import verify
from rookery.models.repository import Repository

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

SIZE = (16, 12)


@pytest.fixture(scope="module")
def network():
    """Sums of three weighted color channels, as logits: (n, 16, 12, 3) to (n, 4)."""
    from rookery.backends.savedmodel import import_tensorflow

    import_tensorflow()
    import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Input((*SIZE, 3), name="photo")
    x = layers.Conv2D(4, 3, use_bias=False)(image)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(image, layers.Dense(4, name="logits")(x))


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def files(network, tmp_path_factory) -> Path:
    import openvino
    import tensorflow as tf

    from rookery.backends.freezing import freeze

    folder = tmp_path_factory.mktemp("formats")
    network.save(folder / "net.keras")
    spec = tf.TensorSpec((None, *SIZE, 3), tf.float32, name="photo")
    module = tf.Module()
    module.network = network
    tf.saved_model.save(
        module,
        str(folder / "other-signature"),
        signatures={
            "classify": tf.function(
                lambda photo: {"logits": network(photo, training=False)}, input_signature=[spec]
            )
        },
    )
    graph = freeze(lambda image: network(image, training=False), spec.shape, "answer")
    (folder / "net.pb").write_bytes(graph.SerializeToString())
    converted = openvino.Core().read_model(folder / "net.pb")
    openvino.save_model(converted, folder / "net.xml", compress_to_fp16=False)
    return folder


@pytest.fixture(scope="module")
def h5(network, files):
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    with h5py.File(files / "net.h5", "w") as file:
        save_model_to_hdf5(network, file)
    return files / "net.h5"


def onnx_model(network, path, *, planar):
    """The same network by hand, as PyTorch (channels first) or tf2onnx writes it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    convolution, norm, _, _, dense = network.layers[1:]
    gamma, beta, mean, variance = (one.numpy() for one in norm.weights)
    values = {
        "kernel": convolution.kernel.numpy().transpose(3, 2, 0, 1),
        "gamma": gamma,
        "beta": beta,
        "mean": mean,
        "variance": variance,
        "weights": dense.kernel.numpy(),
        "bias": dense.bias.numpy(),
    }
    make = helper.make_node
    nodes = [] if planar else [make("Transpose", ["photo"], ["planes"], perm=[0, 3, 1, 2])]
    nodes += [
        make("Conv", ["photo" if planar else "planes", "kernel"], ["a"]),
        make("BatchNormalization", ["a", "gamma", "beta", "mean", "variance"], ["b"], epsilon=1e-3),
        make("Relu", ["b"], ["c"]),
        make("GlobalAveragePool", ["c"], ["d"]),
        make("Flatten", ["d"], ["e"]),
        make("Gemm", ["e", "weights", "bias"], ["logits"]),
    ]
    shape = ["n", 3, *SIZE] if planar else ["n", *SIZE, 3]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("photo", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


@dataclass(frozen=True)
class Answers:
    """What the network gives for one batch."""

    batch: np.ndarray
    logits: np.ndarray

    def check(self, home, *backends):
        """See that the imported model is whole and gives the same; return it."""
        version = Repository(home / "models").find("own")
        verify(version.directory, version.card)
        assert (version.card.classes, version.card.activation) == (4, "logits")
        for backend in backends:
            model = create_backend(backend).load(version.directory, version.card)
            found = model(self.batch)[version.card.output]
            np.testing.assert_allclose(found, self.logits, rtol=1e-3, atol=1e-3)
        return version


@pytest.fixture(scope="module")
def answers(network, batch):
    return Answers(batch, network(batch, training=False).numpy())


@pytest.fixture
def onnx(network, tmp_path):
    return partial(onnx_model, network, tmp_path / "net.onnx")


def test_an_h5_file_runs_on_every_backend(run, home, h5, answers):
    run("import", h5, "--name", "own")
    version = answers.check(home, "tensorflow", "openvino", "opencv")
    assert (version.card.format, version.card.other_formats) == ("savedmodel", ("frozen",))


def test_another_signature_becomes_the_one_that_openvino_runs(run, home, files, answers):
    run("import", files / "other-signature", "--name", "own")
    version = answers.check(home, "tensorflow", "openvino", "opencv")
    assert version.card.signature == "serving_default"


def test_a_frozen_graph_is_served_as_one(run, home, files, answers):
    run("import", files / "net.pb", "--name", "own")
    version = answers.check(home, "tensorflow", "openvino", "opencv")
    assert version.card.format == "frozen"
    assert {path.name for path in version.directory.iterdir()} == {
        *("frozen.pb", "labels.txt", "model.json")
    }


def test_the_inside_of_a_frozen_graph_can_be_chosen(run, home, files, answers):
    options = ("--input", "image:0", "--output", "answer:0", "--size", "12x16")
    run("import", files / "net.pb", "--name", "own", *options)
    answers.check(home, "tensorflow")


def test_any_output_of_a_node_can_be_chosen(run, home, tmp_path, batch):
    import tensorflow as tf

    def call(image):
        first, second = tf.split(tf.reduce_mean(image, [1, 2]) @ tf.ones((3, 8)), 2, 1, name="half")
        return first, 2 * second

    spec = tf.TensorSpec((None, *SIZE, 3), tf.float32, name="image")
    graph = tf.function(call, input_signature=[spec]).get_concrete_function().graph
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    run("import", tmp_path / "net.pb", "--name", "own", "--output", "half:1")
    version = Repository(home / "models").find("own")
    outputs = create_backend("tensorflow").load(version.directory, version.card)(batch)
    expected = np.repeat(batch.mean((1, 2)).sum(1, keepdims=True), 4, 1)
    np.testing.assert_allclose(outputs[version.card.output], expected, rtol=1e-5)


def test_a_graph_in_which_something_waits_for_the_input_is_served(
    run, home, files, answers, tmp_path
):
    from tensorflow.core.framework.graph_pb2 import GraphDef

    graph = GraphDef.FromString((files / "net.pb").read_bytes())
    constant = next(node for node in graph.node if node.op == "Const")
    constant.input.append("^image")
    (tmp_path / "net.pb").write_bytes(graph.SerializeToString())
    run("import", tmp_path / "net.pb", "--name", "own")
    answers.check(home, "tensorflow", "opencv")


@pytest.mark.parametrize("planar", [True, False])
def test_onnx_is_kept_whichever_way_its_channels_are(planar, run, home, onnx, answers):
    path = onnx(planar=planar)
    run("import", path, "--name", "own")
    version = answers.check(home, "openvino", "opencv")
    assert version.card.format == "onnx"
    assert version.card.input.height == 16
    assert (version.directory / "model.onnx").read_bytes() == path.read_bytes()


def test_openvino_s_own_format_is_kept(run, home, files, answers):
    run("import", files / "net.xml", "--name", "own")
    version = answers.check(home, "openvino")
    assert version.card.format == "openvino"
    assert (version.directory / "model.bin").is_file()


def test_a_savedmodel_that_cannot_be_frozen_says_so_and_is_served(
    run, home, tmp_path, caplog, batch
):
    import tensorflow as tf

    module = tf.Module()
    initializer = tf.lookup.KeyValueTensorInitializer([0, 1], [1.0, 2.0], tf.int64, tf.float32)
    module.table = tf.lookup.StaticHashTable(initializer, 0.0)
    spec = tf.TensorSpec((None, *SIZE, 3), tf.float32, name="image")
    serve = tf.function(
        lambda image: {
            "logits": tf.reduce_mean(image, [1, 2]) * module.table.lookup(tf.ones((1, 3), tf.int64))
        },
        input_signature=[spec],
    )
    tf.saved_model.save(module, str(tmp_path / "table"), signatures=serve)
    with caplog.at_level(logging.WARNING, "rookery.zoo"):
        run("import", tmp_path / "table", "--name", "own")
    assert "no frozen.pb beside the SavedModel" in caplog.text
    version = Repository(home / "models").find("own")
    assert version.card.other_formats == ()
    outputs = create_backend("tensorflow").load(version.directory, version.card)(batch)
    np.testing.assert_allclose(outputs["logits"], batch.mean((1, 2)) * 2, rtol=1e-5)
