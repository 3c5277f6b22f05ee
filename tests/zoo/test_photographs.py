"""The published weights in our network see what is on real photographs, on every backend."""

import numpy as np
import pytest

from rookery.backends.registry import create_backend
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.models.integrity import verify
from rookery.models.labels import read_labels
from rookery.models.scores import classify_scores

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

# TensorFlow and OpenVINO add the same numbers in another order; measured: below 2e-6.
TOLERANCE = 1e-4
BACKENDS = ("tensorflow", "openvino")


@pytest.fixture(scope="module")
def version(pulled_repository):
    return pulled_repository.find("efficientnet-lite0")


@pytest.fixture(scope="module")
def answers(version, photographs):
    """(backend, photograph) -> the five best classes and all probabilities."""
    labels = read_labels(version.directory, version.card)
    found = {}
    for backend in BACKENDS:
        model = create_backend(backend).load(version.directory, version.card)
        for name, data in photographs.items():
            pixels = decode(data, version.card.input, ImageLimits()).pixels
            outputs = model(normalize(pixels, version.card.input)[None])
            best = classify_scores(outputs, version.card, labels, top_k=5)
            found[backend, name] = best, outputs[version.card.output]
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_grace_hopper_wears_a_military_uniform(backend, answers):
    best, _ = answers[backend, "grace_hopper"]
    assert best[0].label == "military uniform"
    assert best[0].probability == pytest.approx(0.463, abs=0.01)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_flower_is_a_daisy(backend, answers):
    best, _ = answers[backend, "flower"]
    assert best[0].label == "daisy"


@pytest.mark.parametrize("backend", BACKENDS)
def test_china_shows_a_palace(backend, answers):
    best, _ = answers[backend, "china"]
    assert "palace" in [score.label for score in best]


@pytest.mark.parametrize("name", ["grace_hopper", "china", "flower"])
def test_the_backends_agree(name, answers):
    (first, one), (second, other) = (answers[backend, name] for backend in BACKENDS)
    assert [score.index for score in first] == [score.index for score in second]
    assert np.abs(one - other).max() <= TOLERANCE


def test_what_was_pulled_is_whole(version):
    verify(version.directory, version.card)


def test_pulling_says_where_the_model_is_and_nothing_else(pulled):
    directory = pulled / "models" / "efficientnet-lite0" / "1"
    assert (pulled / "printed").read_text() == f"efficientnet-lite0/1 is ready: {directory}\n"
