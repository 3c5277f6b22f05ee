"""What a Keras file may describe, looked at without Keras."""

import json
import zipfile

import h5py
import pytest

from rookery.errors import ModelInvalid
from rookery.zoo.sources.keras_config import check_keras_file


def dense(**changes):
    return {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}} | changes


def network(*layers):
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "net", "layers": list(layers)},
    }


@pytest.fixture(params=[".keras", ".h5"])
def write(request, tmp_path):
    """Write a file of either kind with this description in it."""

    def writing(config):
        path = tmp_path / f"net{request.param}"
        text = config if isinstance(config, str) else json.dumps(config)
        if request.param == ".keras":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("config.json", text)
        else:
            with h5py.File(path, "w") as file:
                file.attrs["model_config"] = text
        return path

    return writing


@pytest.mark.parametrize(
    "layer",
    [
        dense(),
        {"class_name": "Dense", "config": {"units": 3}},  # as Keras 2 wrote it
        dense(module="keras.src.layers.core.dense"),
        dense(module="tf_keras.layers"),
    ],
)
def test_layers_of_keras_pass(layer, write):
    check_keras_file(write(network(layer)))


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (dense(class_name="Lambda"), "has a Lambda in it"),
        (dense(config={"activation": {"class_name": "__lambda__"}}), "has a __lambda__ in it"),
        (network(network(dense(class_name="TFSMLayer"))), "has a TFSMLayer in it"),
        (dense(class_name="TorchModuleWrapper"), "has a TorchModuleWrapper in it"),
        (dense(class_name="StringLookup"), "has a StringLookup in it"),
        (dense(module="builtins", class_name="function"), "has a function in it"),
        (dense(module="os", class_name="system"), "needs os.system, Python code"),
        (dense(module="keras_evil", class_name="Dense"), "needs keras_evil.Dense, Python code"),
        (dense(module="subprocess", class_name="Popen"), "needs subprocess.Popen, Python code"),
    ],
)
def test_code_and_files_are_refused_however_deep(layer, named, write):
    with pytest.raises(ModelInvalid, match=r"model\.export\('folder'\)") as caught:
        check_keras_file(write(network(dense(), layer)))
    assert named in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_a_description_that_is_no_json_is_damage(text, write):
    with pytest.raises(ModelInvalid, match="is damaged"):
        check_keras_file(write(text))


def test_a_zip_file_without_a_description_is_no_model(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("other.json", "{}")
    with pytest.raises(ModelInvalid, match=r"no \.keras file, or a damaged one"):
        check_keras_file(tmp_path / "net.keras")


def test_a_description_is_not_unpacked_without_bounds(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", " " * (64 * 1024 * 1024 + 1))
    with pytest.raises(ModelInvalid, match="in more than 67,108,864 bytes"):
        check_keras_file(tmp_path / "net.keras")
