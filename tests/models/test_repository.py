import threading
from dataclasses import replace
from pathlib import Path

import pytest

from rookery.errors import ModelInvalid, ModelNotFound
from rookery.models.card import CARD_FILE, dump
from rookery.models.copying import export_version
from rookery.models.integrity import verify
from rookery.models.labels import write_labels
from rookery.models.repository import Repository


def everything_in(repository: Repository) -> list[str]:
    return sorted(
        path.relative_to(repository.root).as_posix() for path in repository.root.rglob("*")
    )


def test_the_first_version_is_1_and_the_next_is_2(publish, repository):
    assert [publish().card.version, publish().card.version] == [1, 2]
    assert repository.references() == ("birds/1", "birds/2")


def test_the_newest_version_is_found_by_number_and_not_by_spelling(publish, repository):
    for _ in range(10):
        publish()
    assert repository.find("birds").card.version == 10


def test_a_version_is_found_by_its_number(publish, repository):
    publish()
    publish()
    assert repository.find("birds/1").directory == repository.root / "birds" / "1"


def test_an_empty_repository_lists_nothing(repository):
    assert repository.references() == ()


def test_what_is_found_is_what_was_published(publish, repository):
    version = publish()
    assert repository.find("birds") == version


def test_an_absent_model_says_what_there_is_and_how_to_get_it(publish, repository):
    publish()
    advice = (
        "only birds/1; if `rookery models list` offers it, get it with: rookery models pull fish"
    )
    with pytest.raises(ModelNotFound, match=advice):
        repository.find("fish")


def test_an_absent_repository_says_so(repository):
    with pytest.raises(ModelNotFound, match="nor any other; if `rookery models list` offers"):
        repository.find("birds")


def test_an_absent_version_says_which_there_are(publish, repository):
    publish()
    publish()
    with pytest.raises(ModelNotFound, match=r"there is birds/1, birds/2"):
        repository.find("birds/3")


@pytest.mark.parametrize(
    "reference",
    ["", "..", "../birds", "birds/..", "birds/0", "birds/01", "birds/x", "birds/", "/x"],
)
def test_what_is_no_reference_never_reaches_the_disk(reference, publish, repository):
    publish()
    with pytest.raises(ModelNotFound, match="no model reference; write NAME or NAME/VERSION"):
        repository.find(reference)


def test_folders_that_are_no_versions_are_overlooked(publish, repository):
    publish()
    for name in ("x", "007", ".incoming-1", "0"):
        (repository.root / "birds" / name).mkdir()
    assert repository.references() == ("birds/1",)


def test_a_card_of_another_version_is_refused(publish, repository):
    version = publish()
    (version.directory / CARD_FILE).write_text(dump(replace(version.card, version=7)))
    with pytest.raises(ModelInvalid, match="describes birds/7"):
        repository.find("birds")


def test_a_failed_build_leaves_nothing_behind(repository, card):
    def build(directory: Path) -> None:
        (directory / "half").write_bytes(b"...")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        repository.publish(card, build)
    assert everything_in(repository) == ["birds"]


def test_nothing_is_visible_while_it_is_built(repository, card):
    seen = []

    def build(directory: Path) -> None:
        (directory / "labels.txt").write_text("a\nb\nc\n")
        seen.append(repository.references())

    repository.publish(card, build)
    assert seen == [()]


def test_a_model_without_labels_is_not_published(repository, card):
    with pytest.raises(ModelInvalid, match=r"no label file 'labels\.txt'"):
        repository.publish(card, lambda _: None)
    assert repository.references() == ()


def test_a_card_that_could_not_be_read_back_is_not_published(repository, card):
    with pytest.raises(ModelInvalid, match=r"the card of birds .*\n.*license must be"):
        repository.publish(
            replace(card, license=""),
            lambda directory: write_labels(directory / "labels.txt", ("a", "b", "c")),
        )
    assert repository.references() == ()


@pytest.mark.parametrize("name", ["../up", "a/b", "", "Birds"])
def test_a_name_that_is_a_path_is_not_published(name, repository, card):
    with pytest.raises(ModelInvalid, match="is no model name"):
        repository.publish(replace(card, name=name), lambda _: None)
    assert not repository.root.exists()


def test_concurrent_publishers_get_a_version_each(repository, publish):
    count = 8
    barrier = threading.Barrier(count)
    versions = []

    def run() -> None:
        barrier.wait()
        versions.append(publish().card.version)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == list(range(1, count + 1))
    for version in map(repository.find, repository.references()):
        verify(version.directory, version.card)


def test_an_exported_version_is_a_checked_copy(publish, tmp_path):
    version = publish()
    export_version(version, tmp_path / "copy")
    verify(tmp_path / "copy", version.card)


def test_a_folder_that_holds_something_is_not_exported_into(publish, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(ModelInvalid, match="is not empty"):
        export_version(publish(), tmp_path / "mine")


def test_a_damaged_version_is_not_exported(publish, tmp_path):
    version = publish()
    (version.directory / "labels.txt").write_text("?")
    with pytest.raises(ModelInvalid, match="is damaged"):
        export_version(version, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
