"""EfficientNet-Lite0 in int8 still sees what is on real photographs."""

import shutil

import numpy as np
import pytest

from rookery.backends.registry import create_backend
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.models.labels import read_labels
from rookery.models.repository import Repository
from rookery.models.scores import classify_scores
from rookery.quantization.quantize import Wishes, quantize


@pytest.fixture(scope="module")
def quantized(pulled_repository, photographs, tmp_path_factory):
    """The model in int8, in a repository of its own, and the report on it."""
    folder = tmp_path_factory.mktemp("photographs")
    for name, data in photographs.items():
        (folder / f"{name}.jpg").write_bytes(data)
    home = tmp_path_factory.mktemp("home")
    found = pulled_repository.find("efficientnet-lite0")
    shutil.copytree(found.directory, home / "models" / "efficientnet-lite0" / "1")
    repository = Repository(home / "models")
    wishes = Wishes("efficientnet-lite0-int8", folder)
    return quantize(
        repository.find("efficientnet-lite0"),
        repository,
        create_backend("openvino"),
        wishes,
        lambda what, done, total: None,  # noqa: ARG005
    )


@pytest.fixture(scope="module")
def best(quantized, photographs):
    """The five best classes of each photograph."""
    version, _ = quantized
    card, labels = version.card, read_labels(version.directory, version.card)
    model = create_backend("openvino").load(version.directory, card)
    found = {}
    for name, data in photographs.items():
        pixels = decode(data, card.input, ImageLimits()).pixels
        outputs = model(normalize(pixels, card.input)[np.newaxis])
        found[name] = [score.label for score in classify_scores(outputs, card, labels, top_k=5)]
    return found


@pytest.mark.parametrize(
    ("photograph", "label"), [("grace_hopper", "military uniform"), ("flower", "daisy")]
)
def test_the_best_class_is_the_right_one(photograph, label, best):
    assert best[photograph][0] == label


def test_china_shows_a_palace(best):
    assert "palace" in best["china"]


def test_it_agrees_with_what_it_was_made_from(quantized):
    _, report = quantized
    assert report.agreement.top_1 == 1
    assert report.agreement.largest_difference < 0.2


def test_it_is_a_quarter_of_the_size(quantized):
    _, report = quantized
    assert report.bytes.after < 0.3 * report.bytes.before
