import logging
from pathlib import Path

import pytest

from rookery.errors import QuantizationRefused
from rookery.quantization.truths import classes_of, read_truths

LABELS = ("crow, Corvus", "rook", "crane", "jackdaw", "crane", "sea snake", "7")


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("rook", {1}),
        ("ROOK", {1}),
        ("crow, Corvus", {0}),
        ("crow", {0}),
        ("crane", {2, 4}),
        ("sea_snake", {5}),
        ("3", {3}),
        ("7", {6}),
        ("99", set()),
        ("raven", set()),
        ("", set()),
    ],
)
def test_a_name_means_a_label_its_first_word_or_its_index(name, classes):
    assert classes_of(name, LABELS) == classes


def images(folder, *names):
    return [folder / name for name in names]


def test_an_image_shows_what_its_folder_is_named(tmp_path):
    found = images(tmp_path, "rook/a.jpg", "train/jackdaw/b.jpg", "raven/c.jpg", "d.jpg")
    assert read_truths(tmp_path, found, LABELS) == {found[0]: {1}, found[1]: {3}}


def test_the_synsets_of_imagenet_are_its_classes_in_order(tmp_path):
    found = images(tmp_path, "n00000007/a.jpg", "n00000003/b.jpg")
    assert read_truths(tmp_path, found, ("crow", "rook")) == {found[0]: {1}, found[1]: {0}}


def test_some_synsets_alone_say_nothing(tmp_path):
    assert read_truths(tmp_path, images(tmp_path, "n00000007/a.jpg"), ("crow", "rook")) == {}


def test_a_list_says_what_is_on_each_file(tmp_path):
    (tmp_path / "labels.csv").write_text('\ufefffile,label\nrook/a.jpg,3\nb.jpg,"crow, Corvus"\n')
    found = images(tmp_path, "rook/a.jpg", "b.jpg")
    assert read_truths(tmp_path, found, LABELS) == {found[0]: {3}, found[1]: {0}}


def test_rows_of_files_that_are_not_there_are_counted_and_told(tmp_path, caplog):
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,3\ngone.jpg,3\n/gone,rook\n")
    found = images(tmp_path, "a.jpg")
    with caplog.at_level(logging.WARNING, "rookery.quantization"):
        assert read_truths(tmp_path, found, LABELS) == {found[0]: {3}}
    assert "names 2 files that are no images there, of 3; the first is " in caplog.text
    assert str(tmp_path / "gone.jpg") in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na.jpg,raven\n", "row 2: the model has no class 'raven'"),
        ("file,label\na.jpg,rook\nb.jpg\n", "row 3: write a first row `file,label`"),
        ("a.jpg,rook\nb.jpg,rook\n", "row 2: write a first row `file,label`"),
        ("\xff", "cannot be read as CSV"),
    ],
)
def test_a_list_that_says_nothing_clear_is_refused(text, message, tmp_path):
    (tmp_path / "labels.csv").write_text(text, encoding="latin-1")
    with pytest.raises(QuantizationRefused, match=message):
        read_truths(tmp_path, [Path("a.jpg")], LABELS)
