import pytest

from rookery.errors import ModelInvalid
from rookery.models.labels import read_label_file, read_labels, write_labels


@pytest.mark.parametrize(
    "content",
    [
        b"crow\nrook\njackdaw\n",
        b"crow\nrook\njackdaw",
        b"crow\r\nrook\r\njackdaw\r\n",
        b"\xef\xbb\xbfcrow\nrook\njackdaw\n\n",
    ],
)
def test_one_class_per_line(content, tmp_path, card):
    (tmp_path / "labels.txt").write_bytes(content)
    assert read_labels(tmp_path, card) == ("crow", "rook", "jackdaw")


def test_a_label_may_hold_what_only_looks_like_a_line_break(tmp_path):
    write_labels(tmp_path / "labels.txt", ("a\u2028b", "c\x0bd"))
    assert read_label_file(tmp_path / "labels.txt") == ("a\u2028b", "c\x0bd")


@pytest.mark.parametrize("content", ["crow\nrook\n", "a\nb\nc\nd\n", ""])
def test_as_many_labels_as_classes(content, tmp_path, card):
    (tmp_path / "labels.txt").write_text(content)
    with pytest.raises(ModelInvalid, match="classes, the model has 3; write one line per class"):
        read_labels(tmp_path, card)


def test_labels_are_utf_8(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xe4\n")
    with pytest.raises(ModelInvalid, match="cannot be read as labels"):
        read_label_file(tmp_path / "labels.txt")


def test_a_missing_file_is_named(tmp_path, card):
    with pytest.raises(ModelInvalid, match=r"labels\.txt cannot be read"):
        read_labels(tmp_path, card)
