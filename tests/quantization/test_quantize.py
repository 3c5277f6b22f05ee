"""A model becomes int8 if it stays as good, and nothing becomes of it if not."""

import json
import logging
import shutil
import sys
from dataclasses import replace

import pytest
from PIL import Image

from rookery.backends.registry import create_backend
from rookery.errors import BackendMissing, ModelInvalid, QuantizationRefused
from rookery.models.integrity import verify
from rookery.quantization import quantize as module
from rookery.quantization.quantize import Wishes, quantize
from rookery.quantization.report import summary


@pytest.fixture
def steps():
    return []


@pytest.fixture
def run(version, repository, photos, steps):
    def run(model=version, **changes):
        wishes = replace(Wishes("colors-int8", photos), **changes)
        backend = create_backend("openvino")
        return quantize(model, repository, backend, wishes, lambda *step: steps.append(step))

    return run


def test_a_model_becomes_int8_and_says_how_it_did(run, capfd):
    made, report = run()
    card = made.card
    verify(made.directory, card)
    assert (card.name, card.version, card.format, card.precision) == (
        "colors-int8", 1, "openvino", "int8",
    )  # fmt: skip
    assert (card.top_1, card.parameters, card.other_formats) == (None, 18, ())
    assert card.source.startswith("int8 of colors/1, calibrated with 12 images; that is: made for")
    assert (report.images, report.skipped, report.calibrated) == (12, 1, 12)
    assert report.agreement.top_1 == 1
    assert (report.accuracy.images, report.accuracy.before, report.accuracy.after) == (12, 1, 1)
    assert min(report.milliseconds.before, report.milliseconds.after, report.bytes.after) > 0
    assert b"FakeQuantize" in (made.directory / "model.xml").read_bytes()
    stored = json.loads((made.directory / "quantization.json").read_text())
    assert stored["agreement"]["images"] == 12
    assert summary(made.directory) == (
        "int8 of colors/1: the same best class on 100.0% of 12 images, "
        "accuracy 100.0% before, 100.0% after"
    )
    assert capfd.readouterr() == ("", "")


def test_a_network_may_have_its_channels_first(run, version, repository, write_network):
    def build(directory):
        write_network(directory, planar=True)
        shutil.copyfile(version.directory / "labels.txt", directory / "labels.txt")

    _, report = run(repository.publish(version.card, build))
    assert (report.source, report.agreement.top_1, report.accuracy.after) == ("colors/2", 1, 1)


def test_it_says_how_far_it_is(run, steps):
    run()
    assert list(dict.fromkeys(what for what, _, _ in steps)) == [
        "asking in fp32", "calibrating", "asking in int8",
    ]  # fmt: skip
    assert ("asking in fp32", 13, 13) in steps
    assert ("calibrating", 12, 12) in steps
    assert all(0 <= done <= total for _, done, total in steps)


def test_few_images_are_warned_of_and_broken_ones_named(run, caplog):
    with caplog.at_level(logging.WARNING):
        run()
    assert "only 12 images: 100 typical ones" in caplog.text
    assert "broken.png" in caplog.text


def test_it_looks_at_no_more_than_it_may_and_takes_them_from_everywhere(run):
    _, report = run(images=6, subset=3)
    assert (report.images + report.skipped, report.calibrated) == (6, 3)
    assert report.accuracy.before == 1


def test_wordnet_s_folders_are_known_whichever_images_are_looked_at(run, photos):
    for number, label in enumerate(("red", "green", "blue")):
        (photos / label).rename(photos / f"n0000000{number}")
    _, report = run(images=2)
    assert (report.accuracy.images, report.accuracy.before) == (1, 1)


def test_what_agrees_too_little_is_not_published(run, repository, write_network, monkeypatch):
    def swap(directory, card, images, read, destination):
        del directory, card, images, read
        write_network(destination, (1, 0, 2))

    monkeypatch.setattr(module, "to_int8", swap)
    with pytest.raises(QuantizationRefused, match=r"on 4 of 12 images \(33.3%\), .* 99.0%"):
        run()
    assert repository.references() == ("colors/1",)


def test_what_was_served_is_still_the_newest_after_a_refusal(run, repository, monkeypatch):
    first, _ = run()
    monkeypatch.setattr(module, "judge", refuse)
    with pytest.raises(QuantizationRefused):
        run()
    assert repository.find("colors-int8") == first


def refuse(report):
    raise QuantizationRefused(f"too little: {report.agreement}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "int8"}, "colors/1 is int8 already"),
        ({"format": "fixed"}, "colors/1 computes nothing that could be int8"),
    ],
)
def test_what_cannot_become_int8_is_refused(changes, message, run, version):
    with pytest.raises(QuantizationRefused, match=message):
        run(replace(version, card=replace(version.card, **changes)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("colors", "colors is a model in fp32, which int8 would replace"),
        ("../colors", "'../colors' is no model name"),
    ],
)
def test_a_name_that_cannot_be_its_own_is_refused(name, message, run):
    with pytest.raises(QuantizationRefused, match=message):
        run(name=name)


def test_a_folder_without_an_image_is_refused(run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.png").write_bytes(b"")
    with pytest.raises(QuantizationRefused, match=r"holds no image that can be used \(1 cannot\)"):
        run(folder=tmp_path / "empty")


def test_a_folder_that_is_none_is_refused(run, tmp_path):
    with pytest.raises(QuantizationRefused, match="is no folder"):
        run(folder=tmp_path / "gone")


def test_a_damaged_model_is_refused(run, version):
    (version.directory / "labels.txt").write_text("changed")
    with pytest.raises(ModelInvalid, match="is damaged"):
        run()


def test_without_nncf_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(BackendMissing, match=r'pip install "rookery\[quantize\]"'):
        run()


def test_it_leaves_the_logging_of_the_process_alone(run):
    before = logging.getLoggerClass()
    run()
    assert logging.getLoggerClass() is before


def test_the_pictures_may_be_of_any_size(run, photos):
    Image.new("RGB", (300, 20), (200, 0, 0)).save(photos / "red" / "wide.jpg")
    _, report = run()
    assert report.images == 13
