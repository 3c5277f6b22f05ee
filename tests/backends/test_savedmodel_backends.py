"""What the two backends that read files say about files they cannot use."""

import shutil
from dataclasses import replace

import pytest

from rookery.backends.registry import create_backend
from rookery.backends.savedmodel import first_line
from rookery.errors import ModelInvalid
from rookery.images.preprocessing import Preprocessing

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


@pytest.fixture(params=["openvino", "tensorflow"])
def backend(request):
    return create_backend(request.param)


@pytest.fixture
def copy(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "logits"}, "output 'logits' does not exist; the model has"),
        ({"classes": 4}, r"output 'scores' float32\(any, 3\) must be float32\(any, 4\)"),
        (
            {"input": Preprocessing(height=6, width=8)},
            r"input 'image' float32\(any, 8, 6, 3\) must be float32\(any, 6, 8, 3\)",
        ),
        ({"format": "fixed"}, "reads .*savedmodel.*; tiny/1 is fixed"),
        ({"signature": "serve"}, "'serve'"),
    ],
)
def test_a_card_that_describes_another_model_is_refused(changes, message, backend, tiny, card):
    with pytest.raises(ModelInvalid, match=message):
        backend.load(tiny, replace(card, **changes))


def test_all_differences_are_listed_at_once(backend, tiny, card):
    other = replace(card, output="logits", input=Preprocessing(height=1, width=1))
    with pytest.raises(ModelInvalid) as caught:
        backend.load(tiny, other)
    assert str(caught.value).count("\n  - ") == 2


def test_a_folder_without_a_model_is_refused(backend, tmp_path, card):
    with pytest.raises(ModelInvalid, match=str(tmp_path)):
        backend.load(tmp_path, card)


def damage_graph(directory):
    (directory / "saved_model.pb").write_bytes(b"\xff" * 300)


def empty_graph(directory):
    (directory / "saved_model.pb").write_bytes(b"")


def cut_graph(directory):
    path = directory / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:-100])


def no_variables(directory):
    shutil.rmtree(directory / "variables")


def cut_variables(directory):
    (data,) = (directory / "variables").glob("variables.data*")
    data.write_bytes(b"")


@pytest.mark.parametrize(
    "damage", [damage_graph, empty_graph, cut_graph, no_variables, cut_variables]
)
def test_damaged_files_are_refused(damage, backend, copy, card):
    damage(copy)
    with pytest.raises(ModelInvalid, match=str(copy)):
        backend.load(copy, card)


def test_a_signature_with_two_inputs_is_refused(tiny, card):
    with pytest.raises(ModelInvalid, match="must take one input, an image batch; it takes left"):
        create_backend("tensorflow").load(tiny, replace(card, signature="compare"))


def test_openvino_says_that_it_runs_one_signature_only(tiny, card):
    with pytest.raises(ModelInvalid, match="choose ROOKERY_BACKEND=tensorflow"):
        create_backend("openvino").load(tiny, replace(card, signature="compare"))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "ValueError"),
        ("not enough values\nTraceback", "not enough values"),
        ("Input has 4 values\n\t [[{{node Reshape}}]] [Op:f]", "Input has 4 values"),
        (
            "Graph execution error:\n\nDetected at it\n\nInput has 4 values\n [[{{node Reshape}}]]",
            "Input has 4 values",
        ),
    ],
)
def test_of_a_long_message_the_line_that_says_what_is_wrong_is_shown(message, reason):
    assert first_line(ValueError(message)) == reason
