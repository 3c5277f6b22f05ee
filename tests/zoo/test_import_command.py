"""`rookery models import`: a user's own classifiers, and what is wrong with some of them."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rookery import protobuf
from rookery.backends.registry import create_backend
from rookery.backends.savedmodel import open_savedmodel
from rookery.cli.root import root
from rookery.errors import ModelInvalid
from rookery.images.limits import ImageLimits
from rookery.lifecycle.phases import load, warm
from rookery.models.card import load_card
from rookery.models.integrity import verify
from rookery.models.repository import ModelVersion, Repository
from rookery.models.warmup_requests import WARM_UP_FILE
from warm_up_files import predict_log, tensor, write_requests

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


@pytest.fixture(scope="module")
def own_models(tmp_path_factory) -> Path:
    """Small models, as a user's training script would write them."""
    from rookery.backends.savedmodel import import_tensorflow

    tf = import_tensorflow()
    import keras

    folder = tmp_path_factory.mktemp("own")
    layers = [keras.Input((16, 12, 3)), keras.layers.GlobalAveragePooling2D()]
    dense = keras.layers.Dense(3, kernel_initializer="identity", name="scores")
    model = keras.Sequential([*layers, dense])
    model.save(folder / "logits.keras")
    keras.Sequential([*layers, keras.layers.Dense(3), keras.layers.Softmax()]).export(
        folder / "softmax", verbose=False
    )
    keras.Sequential([*layers, keras.layers.Lambda(lambda x: x + 1)]).save(folder / "code.keras")
    spec = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(spec)
    keras.Model(spec, [pooled, keras.layers.Dense(2)(pooled)]).export(
        folder / "two-outputs", verbose=False
    )
    module = tf.Module()
    wrong = tf.function(
        lambda image: {"scores": tf.reduce_mean(image) / 0.0},
        input_signature=[tf.TensorSpec((None, 16, 12, 3), tf.float32, name="image")],
    )
    tf.saved_model.save(module, str(folder / "no-classifier"), signatures=wrong)
    flat = tf.function(
        lambda row: {"scores": row}, input_signature=[tf.TensorSpec((None, 4), tf.float32)]
    )
    tf.saved_model.save(module, str(folder / "flat"), signatures=flat)
    return folder


@pytest.fixture
def labels(tmp_path) -> Path:
    path = tmp_path / "birds.txt"
    path.write_text("crow\nrook\njackdaw\n")
    return path


def test_a_keras_file_becomes_a_model_that_is_served(run, home, own_models, labels):
    output = run("import", own_models / "logits.keras", "--name", "birds", "--labels", labels)
    assert output.startswith("birds/1 is ready: ")
    version = Repository(home / "models").find("birds")
    verify(version.directory, version.card)
    card = version.card
    assert (card.input.height, card.input.width, card.classes) == (16, 12, 3)
    assert card.activation == "logits"
    batch = np.zeros((1, 16, 12, 3), np.float32)
    batch[..., 1] = 5
    outputs = create_backend("openvino").load(version.directory, card)(batch)
    np.testing.assert_allclose(outputs[card.output], [[0, 5, 0]], atol=1e-5)


def test_a_savedmodel_folder_is_taken_as_it_is(run, home, own_models):
    run("import", own_models / "softmax", "--name", "birds", "--license", "MIT")
    version = Repository(home / "models").find("birds")
    assert (version.card.activation, version.card.license) == ("probabilities", "MIT")
    assert (version.directory / "labels.txt").read_text() == "class 0\nclass 1\nclass 2\n"


def test_recorded_requests_are_kept_by_import_and_export_and_warm_every_backend(
    run, own_models, tmp_path, caplog
):
    pixels = np.ones((3, 16, 12, 3), np.float32)
    message = tensor(1, pixels.shape, protobuf.length(4, pixels.tobytes()))
    source = shutil.copytree(own_models / "softmax", tmp_path / "softmax")
    draft = open_savedmodel(source, "serving_default").signature.inputs[0].name
    recorded = write_requests(source, [predict_log({draft: message})]).read_bytes()
    run("import", source, "--name", "birds")
    run("export", "birds", tmp_path / "copy")
    assert (tmp_path / "copy" / WARM_UP_FILE).read_bytes() == recorded
    version = ModelVersion(tmp_path / "copy", load_card(tmp_path / "copy"))
    with caplog.at_level(logging.INFO, "rookery.lifecycle"):
        for library in ("openvino", "tensorflow"):
            warm(load(version, create_backend(library)), limits=ImageLimits(), top_k=1)
    assert caplog.text.count("with 1 of the model's own requests") == 2


def test_preprocessing_is_part_of_the_card(run, home, own_models):
    options = "--resize center-crop --crop-fraction 0.875 --interpolation bilinear"
    options += " --color-order BGR --mean 1 2 3 --scale 4 5 6"
    run("import", own_models / "softmax", "--name", "birds", *options.split())
    found = Repository(home / "models").find("birds").card.input
    assert (found.resize, found.crop_fraction) == ("center-crop", 0.875)
    assert (found.interpolation, found.color_order) == ("bilinear", "BGR")
    assert (found.mean, found.scale) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def test_an_open_size_and_several_outputs_are_chosen(run, home, own_models):
    options = ("--name", "two", "--size", "20x10", "--output", "output_1")
    run("import", own_models / "two-outputs", *options)
    card = Repository(home / "models").find("two").card
    assert (card.input.width, card.input.height, card.classes) == (20, 10, 2)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("softmax", ["--labels", "imagenet"], "there are 1000 labels, the model has 3 classes"),
        ("softmax", ["--size", "10x10"], "takes images of 12x16, not of 10x10"),
        ("softmax", ["--output", "x"], "choose the output that holds the class scores"),
        ("softmax", ["--signature", "x"], "no signature 'x'; it has serv"),
        ("two-outputs", ["--size", "9x9"], "with --output: output_0, output_1"),
        ("softmax", ["--scale", "1", "0", "1"], "input.scale must not be 0"),
        ("softmax", ["--crop-fraction", "2"], "input.crop_fraction must be above 0"),
        ("softmax", ["--name", "My Birds"], "name must be lowercase letters"),
        ("two-outputs", [], "images of any size; choose one with --size 224x224"),
        ("no-classifier", [], "a classifier's is (1, classes), all of them finite"),
        ("flat", [], "no image classifier: its input is 'row' float32(any, 4), an image batch"),
        ("code.keras", [], "has a Lambda in it, which could run code"),
        (".", [], "holds no SavedModel"),
    ],
)
def test_what_cannot_be_imported_says_why_and_publishes_nothing(
    run, own_models, model, options, message
):
    found = run("import", own_models / model, "--name", "birds", *options, fails=ModelInvalid)
    assert message in found
    assert run("list").startswith("no models")


@pytest.mark.parametrize("size", ["224", "224x", "0x10", "axb", "-1x5"])
def test_a_size_is_width_x_height(size, run, tmp_path):
    result = CliRunner().invoke(
        root, ["models", "import", str(tmp_path), "--name", "birds", "--size", size]
    )
    assert result.exit_code == 2
    assert "is no size; write WIDTHxHEIGHT" in result.output
    del run
