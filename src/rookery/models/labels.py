"""The class names of a model: a text file, one class per line, in the order of its outputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rookery.errors import ModelInvalid
from rookery.models.card import ModelCard

LABELS_FILE: Final = "labels.txt"
"""What the label file is called in every version made here; a card may name another."""


def read_labels(directory: Path, card: ModelCard) -> tuple[str, ...]:
    """Return the class names of *card*, as many as it has classes.

    Raises:
        ModelInvalid: the file cannot be read, is not UTF-8, or has too few or too many lines.
    """
    path = directory / card.labels
    labels = read_label_file(path)
    if len(labels) != card.classes:
        raise ModelInvalid(
            f"{path} names {len(labels)} classes, the model has {card.classes}; "
            "write one line per class"
        )
    return labels


def read_label_file(path: Path) -> tuple[str, ...]:
    """Return the lines of the label file at *path*, however many.

    Raises:
        ModelInvalid: the file cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ModelInvalid(f"{path} cannot be read as labels: {exc}") from exc
    # Not splitlines(): a class name may hold a vertical tab or U+2028, a line break it is not.
    return tuple(line.rstrip("\r") for line in text.rstrip("\r\n").split("\n"))


def write_labels(path: Path, labels: Sequence[str]) -> None:
    """Write *labels* to *path*, one per line, as `read_labels` reads them."""
    path.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
