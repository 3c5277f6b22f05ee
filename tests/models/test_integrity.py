from dataclasses import replace

import pytest

from rookery.errors import ModelInvalid
from rookery.models.integrity import verify


def test_a_published_version_is_whole(publish):
    version = publish()
    verify(version.directory, version.card)
    assert sorted(version.card.files) == ["labels.txt", "variables/data"]


def damage_missing(directory):
    (directory / "variables" / "data").unlink()


def damage_changed(directory):
    (directory / "variables" / "data").write_bytes(b"\1\2\4")


def damage_extra(directory):
    (directory / "variables" / "new").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_missing, "variables/data is missing"),
        (damage_changed, "variables/data was changed: sha256 is [0-9a-f]{64}, the card says"),
        (damage_extra, "variables/new is not on the card"),
    ],
)
def test_a_missing_changed_or_extra_file_is_named(damage, message, publish):
    version = publish()
    damage(version.directory)
    with pytest.raises(ModelInvalid, match=message):
        verify(version.directory, version.card)


def test_all_differences_are_listed_at_once(publish):
    version = publish()
    damage_changed(version.directory)
    damage_extra(version.directory)
    card = replace(version.card, files=version.card.files | {"gone": "0" * 64})
    with pytest.raises(ModelInvalid) as caught:
        verify(version.directory, card)
    assert str(caught.value).count("\n  - ") == 3
