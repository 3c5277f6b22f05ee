"""What `rookery models import` refuses: it says why and what to do, and changes nothing."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from rookery.errors import ModelInvalid, RookeryError
from rookery.models.integrity import verify
from rookery.models.repository import Repository

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


@pytest.fixture(scope="module")
def tf():
    from rookery.backends.savedmodel import import_tensorflow

    return import_tensorflow()


@pytest.fixture(scope="module")
def good(tf, tmp_path_factory) -> Path:
    """A network that is good in every format; the tests break copies of it."""
    import keras
    import openvino

    from rookery.backends.freezing import freeze

    folder = tmp_path_factory.mktemp("good")
    layers = [keras.Input((8, 6, 3)), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([*layers, keras.layers.Dense(3)])
    model.save(folder / "net.keras")
    save_h5(model, folder / "net.h5")
    spec = tf.TensorSpec((None, 8, 6, 3), tf.float32, name="image")
    serve = tf.function(lambda image: {"scores": model(image)}, input_signature=[spec])
    module = tf.Module()
    module.model = model
    tf.saved_model.save(module, str(folder / "net"), signatures=serve)
    graph = freeze(model, spec.shape, "scores")
    (folder / "net.pb").write_bytes(graph.SerializeToString())
    converted = openvino.Core().read_model(folder / "net.pb")
    openvino.save_model(converted, folder / "net.xml", compress_to_fp16=False)
    write_onnx(folder / "net.onnx")
    return folder


def save_h5(model, path):
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    with h5py.File(path, "w") as file:
        save_model_to_hdf5(model, file)


def write_onnx(path, operation="GlobalAveragePool", domain="", weights=None):
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node(operation, ["image"], ["pooled"], domain=domain),
        helper.make_node("Flatten", ["pooled"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 8, 6])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        weights or [],
    )
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("acme", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return path


@pytest.fixture
def copy(good, tmp_path):
    return shutil.copytree(good, tmp_path / "copy")


@pytest.fixture
def refused(run, home):
    """Import *path*, expect a refusal, see that nothing came of it, and return the message."""

    def refuse(path, *options, fails=ModelInvalid):
        message = run("import", path, "--name", "birds", *options, fails=fails)
        assert Repository(home / "models").references() == ()
        assert not [*(home / "models").rglob(".incoming*")]
        return message

    return refuse


# --- damaged files ---------------------------------------------------------------------------

FILES = ["net.keras", "net.h5", "net.pb", "net.onnx", "net.xml", "net/saved_model.pb"]


@pytest.mark.parametrize("file", FILES)
def test_random_bytes_are_refused(file, copy, refused):
    path = copy / file
    path.write_bytes(np.random.default_rng(0).bytes(1000))
    broken = path.parent if path.name == "saved_model.pb" else path
    assert str(broken) in refused(broken)


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_was_cut_off_is_refused(file, copy, refused):
    path = copy / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    broken = path.parent if path.name == "saved_model.pb" else path
    assert str(broken) in refused(broken)


@pytest.mark.parametrize("file", FILES)
def test_an_empty_file_is_refused(file, copy, refused):
    path = copy / file
    path.write_bytes(b"")
    assert refused(path.parent if path.name == "saved_model.pb" else path)


def test_weights_that_were_cut_off_are_refused(copy, refused):
    weights = copy / "net.bin"
    weights.write_bytes(weights.read_bytes()[:7])
    message = refused(copy / "net.xml")
    assert f"openvino cannot run {copy / 'net.xml'}: OpenVINO cannot load" in message


def test_missing_weights_are_named(copy, refused):
    (copy / "net.bin").unlink()
    assert "there is no net.bin" in refused(copy / "net.xml")


# --- files that are something else -----------------------------------------------------------


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pkl", ".pth", ".pt", ".bin", ".keras", ".h5", ".pb", ".onnx"])
def test_a_pickle_is_never_executed(suffix, tmp_path, refused):
    trap = tmp_path / "executed"
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Malicious(trap)))
    assert refused(path)
    assert not trap.exists()


def test_weights_without_a_network_say_what_to_do(tmp_path, refused):
    path = tmp_path / "resnet.pth"
    path.write_bytes(b"PK")
    message = refused(path)
    assert "weights without the network" in message
    assert "rookery models pull NAME --file resnet.pth" in message


def test_an_h5_file_of_weights_says_what_to_do(good, tmp_path, refused):
    import keras

    keras.saving.load_model(good / "net.keras").save_weights(tmp_path / "net.weights.h5")
    message = refused(tmp_path / "net.weights.h5")
    assert "save the whole model with model.save('x.keras')" in message


def test_the_graph_of_a_savedmodel_names_its_folder(copy, refused):
    assert f"import the folder it lies in: {copy / 'net'}" in refused(copy / "net/saved_model.pb")
    (copy / "net/saved_model.pb").rename(copy / "net/graph.pb")
    assert f"import the folder it lies in: {copy / 'net'}" in refused(copy / "net/graph.pb")


def test_a_folder_without_a_model_is_refused(tmp_path, refused):
    (tmp_path / "empty").mkdir()
    assert "no saved_model.pb is in it" in refused(tmp_path / "empty")


def test_a_file_of_no_kind_names_the_kinds(tmp_path, refused):
    (tmp_path / "notes.txt").write_text("hello")
    assert "a SavedModel folder, a .keras or .h5 file, a frozen graph" in refused(
        tmp_path / "notes.txt"
    )


# --- models that are no image classifiers, or more than one ------------------------------------


def save(tf, path, **functions):
    tf.saved_model.save(tf.Module(), str(path), signatures=functions)
    return path


def signature(tf, call, shape, dtype="float32"):
    spec = tf.TensorSpec(shape, dtype, name="data")
    return tf.function(lambda data: {"scores": call(data)}, input_signature=[spec])


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((None,), "string"), ((None, 16000), "float32"), ((None, 8, 6, 1), "float32"), ((), "int64")],
    ids=["text", "audio", "grey", "number"],
)
def test_a_model_of_something_else_is_refused(tf, shape, dtype, tmp_path, refused):
    path = save(tf, tmp_path / "x", serving_default=signature(tf, tf.identity, shape, dtype))
    message = refused(path)
    assert f"this is no image classifier: its input is 'data' {dtype}(" in message


def test_a_model_of_bytes_says_to_export_it_with_floats(tf, tmp_path, refused):
    function = signature(
        tf, lambda data: tf.reduce_mean(tf.cast(data, "float32"), [1, 2]), (None, 8, 6, 3), "uint8"
    )
    assert "it must be float32" in refused(save(tf, tmp_path / "x", serving_default=function))


def test_two_image_signatures_must_be_chosen_from(tf, tmp_path, refused, run):
    def pool(gain):
        return signature(tf, lambda data: gain * tf.reduce_mean(data, [1, 2]), (None, 8, 6, 3))

    path = save(tf, tmp_path / "two", serving_default=pool(1.0), classify=pool(2.0))
    message = refused(path)
    assert "2 signatures that take images" in message
    assert "--signature: serving_default, classify" in message
    assert "is ready" in run("import", path, "--name", "birds", "--signature", "classify")


def frozen(tf, call, *specs):
    function = tf.function(call, input_signature=specs).get_concrete_function()
    return function.graph.as_graph_def().SerializeToString()


def test_a_frozen_graph_with_two_outputs_must_be_chosen_from(tf, tmp_path, refused):
    spec = tf.TensorSpec((None, 8, 6, 3), tf.float32, name="image")
    path = tmp_path / "two.pb"

    def both(image):
        pooled = tf.reduce_mean(image, [1, 2])
        return tf.nn.softmax(pooled, name="soft"), tf.math.tanh(pooled, name="hard")

    path.write_bytes(frozen(tf, both, spec))
    assert "with --output: " in refused(path)


def test_a_frozen_graph_with_two_inputs_must_be_chosen_from(tf, tmp_path, refused):
    specs = [tf.TensorSpec((None, 8, 6, 3), tf.float32, name=name) for name in ("left", "right")]
    path = tmp_path / "two.pb"
    path.write_bytes(frozen(tf, lambda left, right: tf.reduce_mean(left - right, [1, 2]), *specs))
    assert "with --input; it has the placeholders left, right" in refused(path)
    assert "two.pb needs right besides" in refused(path, "--input", "left")


def test_an_input_that_is_not_there_is_named(good, refused):
    assert "nowhere" in refused(good / "net.pb", "--input", "nowhere")


# --- operations --------------------------------------------------------------------------------


def test_an_operation_that_tensorflow_does_not_know_is_named(copy, refused):
    from tensorflow.core.framework.graph_pb2 import GraphDef

    graph = GraphDef.FromString((copy / "net.pb").read_bytes())
    graph.node.add(name="acme", op="AcmePooling", input=["image"])
    (copy / "net.pb").write_bytes(graph.SerializeToString())
    message = refused(copy / "net.pb")
    assert "uses AcmePooling, which TensorFlow" in message
    assert "or as ONNX" in message


def test_an_operation_of_a_savedmodel_that_is_unknown_is_named(copy, refused):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path = copy / "net/saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    model.meta_graphs[0].graph_def.library.function[0].node_def.add(name="acme", op="AcmePooling")
    path.write_bytes(model.SerializeToString())
    assert "uses AcmePooling, which TensorFlow" in refused(copy / "net")


def test_an_operation_that_onnx_does_not_know_is_named(tmp_path, refused):
    path = write_onnx(tmp_path / "acme.onnx", "AcmePooling", "acme")
    assert "AcmePooling" in refused(path)


def writes(tf, target):
    with tf.control_dependencies([tf.io.write_file(str(target), "x")]):
        return tf.constant(0.0)


def prints(tf, target):
    with tf.control_dependencies([tf.print("x", output_stream=f"file://{target}")]):
        return tf.constant(0.0)


def reads(tf, target):
    del target
    return tf.strings.to_number(tf.io.read_file("/proc/sys/kernel/pid_max"))


def reads_with_a_reader(tf, target):
    del target
    raw = tf.raw_ops
    queue = raw.FIFOQueueV2(component_types=["string"])
    with tf.control_dependencies([raw.QueueEnqueueV2(handle=queue, components=["/proc/stat"])]):
        reader = raw.WholeFileReaderV2()
        _, text = raw.ReaderReadV2(reader_handle=reader, queue_handle=queue)
    return tf.cast(tf.strings.length(text), "float32")


def maps_a_file(tf, target):
    del target
    return tf.raw_ops.ImmutableConst(dtype="float32", shape=[], memory_region_name="/proc/stat")


def reads_a_dataset(tf, target):
    del target
    (line,) = tf.raw_ops.DatasetToSingleElement(
        dataset=tf.raw_ops.TextLineDataset(
            filenames="/proc/uptime", compression_type="", buffer_size=0
        ),
        output_types=["string"],
        output_shapes=[()],
    )
    return tf.cast(tf.strings.length(line), "float32")


def writes_a_checkpoint(tf, target):
    save = tf.raw_ops.SaveV2(
        prefix=str(target), tensor_names=["x"], shape_and_slices=[""], tensors=[tf.constant(0.0)]
    )
    with tf.control_dependencies([save]):
        return tf.constant(0.0)


def reads_a_checkpoint(tf, target):
    (found,) = tf.raw_ops.RestoreV2(
        prefix=str(target), tensor_names=["x"], shape_and_slices=[""], dtypes=["float32"]
    )
    return found


HOSTILE = [
    (writes, "WriteFile"),
    (prints, "PrintV2"),
    (reads, "ReadFile"),
    (reads_with_a_reader, "WholeFileReaderV2"),
    (maps_a_file, "ImmutableConst"),
    (reads_a_dataset, "TextLineDataset"),
    (writes_a_checkpoint, "SaveV2"),
    (reads_a_checkpoint, "RestoreV2"),
]


@pytest.fixture(params=["call", "branch"])
def hostile(request, tf):
    """Make a classifier that does *act* before it answers, at once or in a branch of a function."""

    def make(act, target):
        def call(image):
            if request.param == "call":
                return act(tf, target) + tf.reduce_mean(image, [1, 2])
            chosen = tf.reduce_sum(image) > -1
            zero = tf.cond(chosen, lambda: act(tf, target), lambda: tf.constant(0.0))
            return zero + tf.reduce_mean(image, [1, 2])

        return call

    return make


@pytest.mark.parametrize(("act", "operation"), HOSTILE)
def test_a_savedmodel_that_does_more_than_compute_is_refused(  # noqa: PLR0913, PLR0917 - fixtures
    act, operation, tf, hostile, tmp_path, refused
):
    target = tmp_path / "written"
    function = signature(tf, hostile(act, target), (None, 8, 6, 3))
    path = save(tf, tmp_path / "x", serving_default=function)
    assert operation in refused(path).partition(", which reaches files")[0]
    assert not [*tmp_path.glob("written*")]


@pytest.mark.parametrize(("act", "operation"), HOSTILE)
def test_a_frozen_graph_that_does_more_than_compute_is_refused(  # noqa: PLR0913, PLR0917 - fixtures
    act, operation, tf, hostile, tmp_path, refused
):
    path, target = tmp_path / "x.pb", tmp_path / "written"
    spec = tf.TensorSpec((None, 8, 6, 3), tf.float32, name="image")
    path.write_bytes(frozen(tf, hostile(act, target), spec))
    assert operation in refused(path).partition(", which reaches files")[0]
    assert not [*tmp_path.glob("written*")]


def test_what_loading_a_savedmodel_runs_is_looked_at(tf, tmp_path, refused):
    words = tmp_path / "words.txt"
    words.write_text("crow\n")
    whole, line = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(str(words), "string", whole, "int64", line), -1
    )
    function = signature(tf, lambda data: tf.reduce_mean(data, [1, 2]), (None, 8, 6, 3))
    tf.saved_model.save(module, str(tmp_path / "x"), signatures=function)
    assert "uses InitializeTableFromTextFileV2, which" in refused(tmp_path / "x")


def test_restoring_a_savedmodel_may_only_restore(tf, copy, refused):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path = copy / "net/saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    saver = model.meta_graphs[0].saver_def
    saver.restore_op_name = saver.save_tensor_name
    path.write_bytes(model.SerializeToString())
    assert "uses MergeV2Checkpoints, SaveV2, which reaches files" in refused(copy / "net")
    del tf


def test_a_function_named_like_an_operation_does_not_hide_it(copy, refused):
    from tensorflow.core.framework.graph_pb2 import GraphDef

    graph = GraphDef.FromString((copy / "net.pb").read_bytes())
    graph.node.add(name="acme", op="ReadFile", input=["image"])
    graph.library.function.add().signature.name = "ReadFile"
    (copy / "net.pb").write_bytes(graph.SerializeToString())
    assert "uses ReadFile, which reaches files" in refused(copy / "net.pb")


@pytest.mark.parametrize("place", ["saved_model.pb", "variables", "assets/labels.txt"])
def test_a_link_out_of_a_savedmodel_is_not_followed(place, copy, tmp_path, refused):
    link = copy / "net" / place
    outside = tmp_path / "outside"
    if link.exists():
        link.rename(outside)
    else:
        outside.write_text("secret")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    assert f"{link} is a link that leads out of the SavedModel" in refused(copy / "net")


# --- what ONNX leaves open ----------------------------------------------------------------------


def leave_open(path, *, shape):
    """Take the number of classes out of an ONNX file, or the whole *shape* of its output."""
    import onnx

    model = onnx.load(path)
    (output,) = model.graph.output
    if shape:
        output.type.tensor_type.ClearField("shape")
    else:
        output.type.tensor_type.shape.dim[1].dim_param = "classes"
    onnx.save(model, path)


@pytest.mark.parametrize("shape", [True, False])
def test_onnx_of_unknown_classes_needs_labels(shape, copy, refused, run, home):
    leave_open(copy / "net.onnx", shape=shape)
    message = refused(copy / "net.onnx")
    assert "net.onnx does not say how many classes it has; give --labels" in message
    (copy / "labels.txt").write_text("crow\nrook\njackdaw\n")
    run("import", copy / "net.onnx", "--name", "birds", "--labels", copy / "labels.txt")
    assert Repository(home / "models").find("birds").card.classes == 3


# --- Keras files with code in them --------------------------------------------------------------


def test_an_h5_file_with_a_lambda_is_refused_unseen(tf, tmp_path, refused):
    import keras

    model = keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Lambda(lambda x: x + 1)])
    save_h5(model, tmp_path / "lambda.h5")
    assert "has a Lambda in it, which could run code" in refused(tmp_path / "lambda.h5")
    del tf


# --- what must stay as it is --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../birds", "a/b", ".birds", "Birds", "a..b", ""])
def test_a_name_that_is_a_path_is_refused(name, good, run, home):
    message = run("import", good / "net", "--name", name, fails=RookeryError)
    assert "name" in message
    assert not home.exists() or Repository(home / "models").references() == ()


def test_a_refused_import_leaves_the_served_version_as_it_is(run, home, copy):
    run("import", copy / "net", "--name", "birds")
    before = Repository(home / "models").find("birds")
    (copy / "net.onnx").write_bytes(b"no model")
    run("import", copy / "net.onnx", "--name", "birds", fails=ModelInvalid)
    (copy / "labels.txt").write_text("crow\n")
    options = ("--name", "birds", "--labels", copy / "labels.txt")
    run("import", copy / "net", *options, fails=ModelInvalid)
    after = Repository(home / "models").find("birds")
    assert (after, Repository(home / "models").references()) == (before, ("birds/1",))
    verify(after.directory, after.card)
