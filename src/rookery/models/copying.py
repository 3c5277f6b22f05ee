"""A model version out of the repository, as plain files for another system."""

import shutil
from pathlib import Path

from rookery.errors import ModelInvalid
from rookery.models.integrity import verify
from rookery.models.repository import ModelVersion


def export_version(version: ModelVersion, destination: Path) -> None:
    """Copy *version* to *destination*, a folder that is absent or empty; check it on both sides.

    Raises:
        ModelInvalid: the version is damaged, or *destination* holds something or cannot be written.
    """
    verify(version.directory, version.card)
    try:
        if destination.is_dir() and any(destination.iterdir()):
            raise ModelInvalid(f"{destination} is not empty; choose a new folder")
        shutil.copytree(version.directory, destination, dirs_exist_ok=True)
    except (OSError, shutil.Error) as exc:
        raise ModelInvalid(f"{destination} cannot be written: {exc}") from exc
    verify(destination, version.card)
