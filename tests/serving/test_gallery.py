import pytest

from rookery.errors import Misconfigured
from rookery.serving.gallery import Gallery


@pytest.fixture
def gallery(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a.jpg", "a.png", "b.jpg.png", "b.jpg", "É ü.webp", "UP.JPEG"):
        (folder / name).write_bytes(name.encode())
    (folder / "notes.txt").write_text("no image")
    (folder / "folder.jpg").mkdir()
    (folder / ".jpg").write_bytes(b"a name without a stem")
    return Gallery(folder, "a")


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("a.png", "a.png"),
        ("a", "a.jpg"),
        ("b.jpg", "b.jpg"),
        ("b", "b.jpg"),
        ("É ü", "É ü.webp"),
        ("UP", "UP.JPEG"),
    ],
)
def test_a_full_name_wins_over_a_stem_and_the_first_of_equal_stems_over_the_rest(
    gallery, asked, answered
):
    assert gallery.read(asked) == (answered, answered.encode())


@pytest.mark.parametrize("asked", [None, "", "nobody", "notes", "notes.txt", "folder", "up"])
def test_what_is_no_image_of_the_folder_is_the_default(gallery, asked):
    assert gallery.read(asked)[0] == "a.jpg"


def test_an_image_that_appears_later_is_found(gallery):
    (gallery.folder / "later.gif").write_bytes(b"later")
    assert gallery.read("later") == ("later.gif", b"later")


@pytest.mark.parametrize("default", ["", "missing", "notes.txt"])
def test_without_a_default_the_message_names_the_settings(gallery, default):
    with pytest.raises(Misconfigured, match="ROOKERY_DEFAULT_IMAGE"):
        Gallery(gallery.folder, default).read("nobody")


def test_a_folder_that_is_not_there_has_no_images(tmp_path):
    with pytest.raises(Misconfigured, match="nowhere"):
        Gallery(tmp_path / "nowhere", "a").read("a")
