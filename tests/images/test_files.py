from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rookery.errors import ImageTooLarge, ImageUndecodable
from rookery.images.files import evenly, find_images, read_if_usable, read_instance
from rookery.images.limits import ImageLimits
from rookery.images.preprocessing import Preprocessing

TARGET = Preprocessing(height=4, width=6, mean=(1.0, 2.0, 3.0), scale=(2.0, 2.0, 2.0))


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.JPG", "deep/er/c.webp", "notes.txt", ".hidden.png", ".git/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_a_folder_gives_what_is_named_like_an_image_in_order(folder):
    found = [path.relative_to(folder).as_posix() for path in find_images([folder])]
    assert found == ["a.JPG", "b.png", "deep/er/c.webp"]


def test_a_file_is_taken_whatever_its_name(folder):
    assert find_images([folder / "notes.txt"]) == (folder / "notes.txt",)


def test_a_hidden_folder_that_is_named_is_read(folder):
    assert find_images([folder / ".git"]) == (folder / ".git" / "d.png",)


@pytest.mark.parametrize(
    ("at_most", "expected"), [(1, "a"), (2, "ac"), (3, "abc"), (4, "abcd"), (9, "abcd")]
)
def test_some_of_many_are_taken_evenly(at_most, expected):
    assert evenly([Path(name) for name in "abcd"], at_most) == tuple(map(Path, expected))


def test_of_nothing_nothing_is_taken():
    assert evenly([], 9) == ()


def test_an_image_becomes_what_the_model_takes(tmp_path):
    Image.new("RGB", (9, 9), (11, 12, 13)).save(tmp_path / "grey.png")
    instance = read_instance(tmp_path / "grey.png", TARGET, ImageLimits())
    np.testing.assert_array_equal(instance, np.full((4, 6, 3), 5, np.float32))


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    with pytest.raises(ImageUndecodable, match=r"broken\.jpg: the bytes start like JPEG"):
        read_instance(tmp_path / "broken.jpg", TARGET, ImageLimits())


def test_a_file_that_is_too_long_is_not_read(tmp_path):
    (tmp_path / "long.png").write_bytes(b"\x89PNG" * 10)
    with pytest.raises(ImageTooLarge, match=r"long\.png is 40 bytes, the limit is 39"):
        read_instance(tmp_path / "long.png", TARGET, ImageLimits(max_bytes=39))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ImageUndecodable, match=r"gone\.png cannot be read: No such file"):
        read_instance(tmp_path / "gone.png", TARGET, ImageLimits())


def test_what_cannot_be_used_is_left_out_and_named(tmp_path, caplog):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    assert read_if_usable(tmp_path / "broken.jpg", TARGET, ImageLimits()) is None
    assert caplog.messages[0].startswith(f"left out: {tmp_path / 'broken.jpg'}: the bytes start")
