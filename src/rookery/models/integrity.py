"""Whether the files of a model version are the ones its card names."""

import hashlib
from pathlib import Path

from rookery.errors import ModelInvalid
from rookery.models.card import CARD_FILE, ModelCard


def digests(directory: Path) -> dict[str, str]:
    """Return sha256 (hex) of every file under *directory* but the card, by POSIX path."""
    return {
        path.relative_to(directory).as_posix(): sha256_of(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path != directory / CARD_FILE
    }


def verify(directory: Path, card: ModelCard) -> None:
    """Compare every file under *directory* with *card*.

    Raises:
        ModelInvalid: files are missing, changed or not on the card; all of them are named.
    """
    try:
        found = digests(directory)
    except OSError as exc:
        raise ModelInvalid(f"{directory} cannot be read: {exc.strerror or exc}") from exc
    problems = [f"{path} is missing" for path in card.files if path not in found]
    problems += [f"{path} is not on the card" for path in found if path not in card.files]
    problems += [
        f"{path} was changed: sha256 is {digest}, the card says {card.files[path]}"
        for path, digest in found.items()
        if card.files.get(path, digest) != digest
    ]
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ModelInvalid(f"{directory} is damaged; pull or import the model again:\n{lines}")


def sha256_of(path: Path) -> str:
    """Return the sha256 (hex) of the file at *path*."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
