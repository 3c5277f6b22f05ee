"""The formats a network is stored in, and which of a version's a library may read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rookery.errors import ModelInvalid
from rookery.models.card import ModelCard, ModelFormat

# The file that tells a format: what a backend reads, or the one that its others lie around.
FILES: Final[dict[ModelFormat, str]] = {
    "savedmodel": "saved_model.pb",
    "frozen": "frozen.pb",
    "onnx": "model.onnx",
    "openvino": "model.xml",
}


def formats(card: ModelCard) -> tuple[ModelFormat, ...]:
    """Return every format the version of *card* holds its network in, its own first."""
    return (card.format, *card.other_formats)


def network_bytes(directory: Path, format_: ModelFormat) -> int:
    """Return the size of the network in *directory* in one of the formats it is there in."""
    files = [directory / FILES[format_]]
    if format_ == "savedmodel":
        files += directory.glob("variables/*")
    if format_ == "openvino":
        files += directory.glob("*.bin")
    return sum(file.stat().st_size for file in files)


def choose_format(
    card: ModelCard, directory: Path, accepted: Sequence[ModelFormat], backend: str
) -> ModelFormat:
    """Return the first of *accepted* that the version in *directory* has.

    Raises:
        ModelInvalid: it has none of them, or its file is missing.
    """
    there = formats(card)
    chosen = next((format_ for format_ in accepted if format_ in there), None)
    if chosen is None:
        raise ModelInvalid(
            f"{backend} reads {', '.join(accepted)}; {card.name}/{card.version} is "
            f"{', '.join(there)}; choose another ROOKERY_BACKEND"
        )
    if not (directory / FILES[chosen]).is_file():
        raise ModelInvalid(f"{directory} holds no {chosen}: no {FILES[chosen]} is in it")
    return chosen
