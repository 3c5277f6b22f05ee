"""The ways TensorFlow runs a model, and how it is told to compute."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rookery.backends.options import Options
from rookery.backends.registry import create_backend
from rookery.backends.tensorflow_runtime import settle_runtime
from rookery.cpus import usable_cpus
from rookery.errors import ModelInvalid

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

BATCH = np.random.default_rng(0).random((2, 8, 6, 3), np.float32)


# --- the frozen graph ----------------------------------------------------------------------


@pytest.fixture
def graph_file(tiny, tmp_path):
    shutil.copy(tiny / "frozen.pb", tmp_path)
    return tmp_path / "frozen.pb"


@pytest.fixture
def frozen(card):
    return replace(card, format="frozen")


READERS = ["tensorflow", "tensorflow-frozen"]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("data", [b"", b"\xff" * 300])
def test_a_damaged_graph_is_refused(name, data, graph_file, frozen):
    graph_file.write_bytes(data)
    with pytest.raises(ModelInvalid, match=str(graph_file)):
        create_backend(name).load(graph_file.parent, frozen)


@pytest.mark.parametrize("name", READERS)
def test_an_operation_it_does_not_know_is_named(name, graph_file, frozen):
    data = graph_file.read_bytes()
    graph_file.write_bytes(data.replace(b"\x12\x07Softmax", b"\x12\x07Strange"))
    with pytest.raises(ModelInvalid, match="Strange"):
        create_backend(name).load(graph_file.parent, frozen)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "logits"}, "output 'logits' does not exist: .* the last one is scores"),
        ({"classes": 4}, r"output 'scores' float32\(any, 3\) must be float32\(any, 4\)"),
    ],
)
def test_a_card_that_describes_another_graph_is_refused(changes, message, graph_file, frozen):
    with pytest.raises(ModelInvalid, match=message):
        create_backend("tensorflow-frozen").load(graph_file.parent, replace(frozen, **changes))


def test_two_inputs_are_refused(graph_file, frozen):
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(graph_file.read_bytes())
    graph.node.add(name="other", op="Placeholder").attr["dtype"].type = 1
    graph_file.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelInvalid, match="must take one input, an image batch; it takes"):
        create_backend("tensorflow-frozen").load(graph_file.parent, frozen)


def test_the_frozen_graph_is_preferred_to_freezing(tiny, tmp_path, card):
    """The other file is there, and no SavedModel."""
    shutil.copy(tiny / "frozen.pb", tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff")
    card = replace(card, other_formats=("frozen",))
    assert create_backend("tensorflow-frozen").load(tmp_path, card)(BATCH)["scores"].shape == (2, 3)


# --- XLA -----------------------------------------------------------------------------------


def test_what_xla_cannot_compile_is_refused_when_it_is_loaded(tmp_path, card):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 6, 3), tf.float32, name="image")])
    def serve(image):
        text = tf.strings.as_string(tf.reduce_mean(image, axis=[1, 2]))
        return {"scores": tf.strings.to_number(text)}

    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    with pytest.raises(ModelInvalid, match=r"XLA cannot compile .* choose ROOKERY_BACKEND=tensor"):
        create_backend("tensorflow-xla").load(tmp_path, card)


# --- the runtime ---------------------------------------------------------------------------


class Threading:
    """The part of `tensorflow` that is told how many threads there are."""

    def __init__(self, *, running=False):
        self.intra = self.inter = 0
        self.running = running

    def get_intra_op_parallelism_threads(self):
        return self.intra

    def set_intra_op_parallelism_threads(self, threads):
        if self.running:
            raise RuntimeError("Intra op parallelism cannot be modified after initialization.")
        self.intra = threads

    def set_inter_op_parallelism_threads(self, threads):
        self.inter = threads


def with_threading(threading):
    config = SimpleNamespace(threading=threading, list_physical_devices=lambda _: [])
    return SimpleNamespace(config=config)


@pytest.mark.parametrize(
    ("options", "threads"), [(Options(threads=3), 3), (Options(), usable_cpus())]
)
def test_threads_are_those_of_the_options(options, threads):
    threading = Threading()
    settle_runtime(with_threading(threading), options)
    assert (threading.intra, threading.inter) == (threads, 1)


def test_the_first_load_settles_the_threads_of_the_process(caplog):
    threading = Threading()
    settle_runtime(with_threading(threading), Options(threads=2))
    threading.running = True
    settle_runtime(with_threading(threading), Options(threads=2))
    assert caplog.text == ""
    settle_runtime(with_threading(threading), Options(threads=1))
    assert threading.intra == 2
    assert "its thread count stays as it is" in caplog.text


class Gpus:
    """The part of `tensorflow` that is asked for GPUs, where there are two."""

    def __init__(self, *, running):
        self.grows = []
        self.running = running
        self.config = SimpleNamespace(
            threading=Threading(),
            list_physical_devices=lambda kind: [SimpleNamespace(name=f"/{kind}:{n}") for n in "01"],
            experimental=SimpleNamespace(set_memory_growth=self.set_memory_growth),
        )

    def set_memory_growth(self, gpu, grows):
        if self.running:
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        self.grows.append((gpu.name, grows))


def test_of_a_gpu_only_the_memory_it_needs_is_taken():
    gpus = Gpus(running=False)
    settle_runtime(gpus, Options())
    assert gpus.grows == [("/GPU:0", True), ("/GPU:1", True)]


def test_a_gpu_that_is_already_in_use_is_a_line_in_the_log(caplog):
    settle_runtime(Gpus(running=True), Options())
    assert caplog.text.count("TensorFlow already runs; how it takes memory of /GPU:") == 2
