"""Which library tries a file, and what happens when none or a crashing one does."""

import numpy as np
import pytest

from rookery.backends.protocol import Signature, TensorSpec
from rookery.backends.trial import Trial
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.images.preprocessing import Preprocessing
from rookery.models.card import ModelCard
from rookery.zoo.sources import library_source
from rookery.zoo.sources.library_source import LibrarySource

CARD = ModelCard(
    name="x",
    version=1,
    architecture="x",
    license="x",
    source="x",
    format="savedmodel",
    signature="serving_default",
    output="scores",
    activation="logits",
    labels="labels.txt",
    classes=2,
    input=Preprocessing(height=8, width=6),
)
BATCH = np.zeros((1, 8, 6, 3), np.float32)
SCORES = np.array([[5.0, -3.0]], np.float32)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"onnx")
    (tmp_path / "scratch").mkdir()
    signature = Signature(
        (TensorSpec("image", "float32", (None, 3, 8, 6)),),
        (TensorSpec("scores", "float32", (None, 2)),),
    )
    files = {"model.onnx": tmp_path / "net.onnx"}
    return LibrarySource(signature, "onnx", files, ("openvino", "opencv"), tmp_path / "scratch")


@pytest.fixture
def trials(monkeypatch):
    """What each backend does when it is tried; the names of those that were."""
    outcomes, tried = {}, []

    def run_trial(version, backend, batch, options, **limits):
        del batch, options, limits
        assert (version.card.format, version.card.activation) == ("onnx", "probabilities")
        tried.append(backend)
        if isinstance(outcomes[backend], Exception):
            raise outcomes[backend]
        return Trial(backend, 1, 1, 1, 1, 1, outcomes[backend])

    monkeypatch.setattr(library_source, "run_trial", run_trial)
    return outcomes, tried


def test_channels_first_is_described_as_callers_pass_it(source):
    assert source.signature.inputs[0].shape == (None, 8, 6, 3)


def test_the_first_library_that_is_installed_tries_it(source, trials):
    outcomes, tried = trials
    outcomes |= {"openvino": BackendMissing("pip install it"), "opencv": SCORES}
    np.testing.assert_array_equal(source.run(BATCH, CARD), SCORES)
    assert tried == ["openvino", "opencv"]


def test_without_any_library_the_first_says_how_to_install_it(source, trials):
    outcomes, _ = trials
    outcomes |= {"openvino": BackendMissing("pip install it"), "opencv": BackendMissing("other")}
    with pytest.raises(BackendMissing, match="pip install it"):
        source.run(BATCH, CARD)


def test_a_crash_is_a_refusal_that_names_the_user_s_file(source, trials, tmp_path):
    outcomes, tried = trials
    copy = tmp_path / "scratch" / "model.onnx"
    outcomes["openvino"] = BackendFailed(f"openvino crashed in {copy} (SIGSEGV)")
    with pytest.raises(ModelInvalid) as caught:
        source.run(BATCH, CARD)
    assert f"crashed in {tmp_path / 'net.onnx'} (SIGSEGV)" in str(caught.value)
    assert tried == ["openvino"]


def test_the_file_is_copied_as_it_was_when_it_was_tried(source, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"changed since")
    (tmp_path / "version").mkdir()
    assert source.write(tmp_path / "version", CARD).format == "onnx"
    assert (tmp_path / "version" / "model.onnx").read_bytes() == b"onnx"
