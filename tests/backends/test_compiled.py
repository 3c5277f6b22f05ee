import logging
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.backends.compiled import CompiledModels

BLOB = bytes(range(256)) * 8


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "models"


@pytest.fixture
def models(folder):
    return CompiledModels(folder)


def test_what_was_written_is_read(models):
    models.write("tiny-1", BLOB)
    assert models.read("tiny-1") == BLOB


def test_what_was_not_written_is_not_there(models, caplog):
    assert models.read("tiny-1") is None
    assert caplog.text == ""


def test_the_newest_of_a_key_is_read(models):
    models.write("tiny-1", b"old")
    models.write("tiny-1", BLOB)
    assert models.read("tiny-1") == BLOB


@given(cut=st.integers(0, len(BLOB) + 15), flip=st.integers(0, len(BLOB) + 15))
def test_a_damaged_file_is_not_there(cut, flip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    models = CompiledModels(folder)
    models.write("tiny-1", BLOB)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    assert models.read("tiny-1") is None
    path.write_bytes(whole[:flip] + bytes([whole[flip] ^ 1]) + whole[flip + 1 :])
    assert models.read("tiny-1") is None


def test_nothing_but_finished_files_lies_in_the_folder(models, folder):
    models.write("tiny-1", BLOB)
    assert [path.name for path in folder.iterdir()] == ["tiny-1.compiled"]


@pytest.mark.parametrize("where", ["cache", "cache/models"])
def test_a_folder_that_cannot_be_written_is_one_line_in_the_log(where, tmp_path, folder, caplog):
    path = tmp_path / where
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file")
    models = CompiledModels(folder)
    with caplog.at_level(logging.WARNING):
        models.write("tiny-1", BLOB)
    (record,) = caplog.records
    assert "or off, in ROOKERY_MODEL_CACHE" in record.getMessage()
    assert models.read("tiny-1") is None


def test_a_write_that_fails_leaves_nothing_behind(models, folder, caplog):
    folder.mkdir(parents=True)
    (folder / "tiny-1.compiled").mkdir()  # a file cannot be renamed over it
    models.write("tiny-1", BLOB)
    assert [path.name for path in folder.iterdir()] == ["tiny-1.compiled"]
    assert "cannot be written" in caplog.text


def test_the_oldest_are_forgotten(models, folder):
    for number in range(20):
        models.write(f"tiny-{number}", BLOB)
        os.utime(folder / f"tiny-{number}.compiled", ns=(number, number))
    models.write("tiny-new", BLOB)
    assert {path.name for path in folder.iterdir()} == {
        "tiny-new.compiled",
        *(f"tiny-{number}.compiled" for number in range(5, 20)),
    }
