"""Where model versions lie: ROOT/NAME/VERSION/, published whole or not at all."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from rookery.errors import ModelInvalid, ModelNotFound
from rookery.models.card import CARD_FILE, ModelCard, dump, is_model_name, load_card, parse_card
from rookery.models.integrity import digests

_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One published version of a model: its folder and its card."""

    directory: Path
    card: ModelCard


class Repository:
    """The models under one folder. Any number of processes may read and publish at once."""

    def __init__(self, root: Path) -> None:
        """Look under *root*, which need not exist yet."""
        self.root = root

    def find(self, reference: str) -> ModelVersion:
        """Return the version that *reference*, NAME or NAME/VERSION, names; NAME is its newest.

        Raises:
            ModelNotFound: there is none; the message lists what there is.
            ModelInvalid: its card cannot be used, or is another model's.
        """
        name, slash, version = reference.partition("/")
        if not is_model_name(name) or (slash and not _VERSION.fullmatch(version)):
            raise ModelNotFound(
                f"{reference!r} is no model reference; write NAME or NAME/VERSION, "
                "such as efficientnet-lite0 or efficientnet-lite0/1"
            )
        versions = self._versions(name)
        number = int(version) if slash else max(versions, default=0)
        if number not in versions:
            raise ModelNotFound(self._absent(name, reference, versions))
        return self._open(name, number)

    def references(self) -> tuple[str, ...]:
        """Return NAME/VERSION of everything published, by name, oldest first; reads no card."""
        return tuple(
            f"{name}/{version}" for name in self._names() for version in self._versions(name)
        )

    def publish(self, card: ModelCard, build: Callable[[Path], None]) -> ModelVersion:
        """Let *build* fill an empty folder, then make it the next version of *card*'s model.

        The version and the file hashes of *card* are filled in here. A reader sees the whole
        version or none; when *build* raises, nothing is left behind.

        Raises:
            ModelInvalid: the name cannot be a folder, or *build* made no label file.
        """
        if not is_model_name(card.name):
            raise ModelInvalid(
                f"{card.name!r} is no model name; use lowercase letters, digits, '.', '_', '-'"
            )
        parent = self.root / card.name
        parent.mkdir(parents=True, exist_ok=True)
        # A sibling, so that the rename stays on one filesystem; dotted, so that no reader looks.
        incoming = parent / f".incoming-{uuid4().hex}"
        incoming.mkdir()
        try:
            build(incoming)
            if not (incoming / card.labels).is_file():
                raise ModelInvalid(f"{card.name} has no label file {card.labels!r}")
            finished = replace(card, files=digests(incoming))
            # What could not be read back is not published.
            parse_card(dump(finished), f"the card of {card.name}")
            return self._rename(incoming, parent, finished)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _rename(self, incoming: Path, parent: Path, card: ModelCard) -> ModelVersion:
        version = max(self._versions(card.name), default=0) + 1
        while True:
            numbered = replace(card, version=version)
            (incoming / CARD_FILE).write_text(dump(numbered), encoding="utf-8")
            _sync(incoming)
            target = parent / str(version)
            try:
                incoming.rename(target)
            except OSError:
                # Another publisher took the number: a folder with files cannot be renamed over.
                if not target.exists():
                    raise
                version += 1
                continue
            _fsync(parent)
            return ModelVersion(target, numbered)

    def _open(self, name: str, version: int) -> ModelVersion:
        directory = self.root / name / str(version)
        card = load_card(directory)
        if (card.name, card.version) != (name, version):
            raise ModelInvalid(
                f"{directory / CARD_FILE} describes {card.name}/{card.version}; "
                "a version's folder and card must agree"
            )
        return ModelVersion(directory, card)

    def _names(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in _folders(self.root) if is_model_name(name)))

    def _versions(self, name: str) -> tuple[int, ...]:
        folders = _folders(self.root / name)
        return tuple(sorted(int(folder) for folder in folders if _VERSION.fullmatch(folder)))

    def _absent(self, name: str, reference: str, versions: tuple[int, ...]) -> str:
        if versions:
            there = ", ".join(f"{name}/{version}" for version in versions)
            return f"there is no model {reference} in {self.root}; there is {there}"
        models = [
            f"{known}/{max(found)}" for known in self._names() if (found := self._versions(known))
        ]
        there = f"only {', '.join(models)}" if models else "nor any other"
        return (
            f"there is no model {reference} in {self.root}, {there}; "
            f"if `rookery models list` offers it, get it with: rookery models pull {name}"
        )


def _folders(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(directory) if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sync(directory: Path) -> None:
    """Bring every file and folder under *directory* to disk before the rename announces it."""
    for path in directory.rglob("*"):
        _fsync(path)
    _fsync(directory)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
