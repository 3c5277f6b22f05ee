"""A user's own classifier, in any format, to a version in the repository."""

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import Signature, TensorSpec
from rookery.backends.signature import check_signature, show
from rookery.errors import BackendFailed, ModelInvalid
from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing
from rookery.models.card import Activation, ModelCard, dump, parse_card
from rookery.models.labels import LABELS_FILE, write_labels
from rookery.models.repository import ModelVersion, Repository
from rookery.zoo.export import SIGNATURE
from rookery.zoo.sources.open import open_source
from rookery.zoo.sources.source import Choices, Say, Source

_IMAGE_RANK: Final = 4  # (batch, height, width, channels)
_CHANNELS: Final = 3
_SUMS_TO_ONE: Final = 1e-3
_ANY_SIZE: Final = Preprocessing(height=1, width=1)  # the size is set later
_NO_CHOICES: Final = Choices()


@dataclass(frozen=True, slots=True)
class Import:
    """What a model file does not say about itself.

    Attributes:
        name: the model's name in the repository.
        labels: class names in the order of the outputs; None numbers them.
        size: (height, width); None takes it from the signature.
        preprocessing: everything but the size.
        choices: what of the file to serve, where it has several.
        activation: None looks whether a sample's scores sum to 1.
        license: SPDX expression.
    """

    name: str
    labels: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    preprocessing: Preprocessing = _ANY_SIZE
    choices: Choices = _NO_CHOICES
    activation: Activation | None = None
    license: str = "NOASSERTION"


def silent(step: str) -> None:
    """Show no progress."""
    del step


def import_model(
    path: Path, repository: Repository, wanted: Import, say: Say = silent
) -> ModelVersion:
    """Publish the model at *path* as the next version of its name, after running it once.

    Raises:
        BackendMissing: the library that reads it is not installed.
        ModelInvalid: the model or the labels cannot be used; the message says what to change.
    """
    with tempfile.TemporaryDirectory(prefix="rookery-import-") as scratch:
        say(f"reading {path.name}")
        source = open_source(path, wanted.choices, Path(scratch))
        card = _draft(path, source.signature, wanted)
        parse_card(dump(card), "what the options describe")
        say("running it on a grey image")
        scores = _run_sample(source, card)
        card = replace(card, classes=scores.shape[1], activation=_activation(scores, wanted))
        labels = wanted.labels or tuple(f"class {index}" for index in range(card.classes))
        if len(labels) != card.classes:
            raise ModelInvalid(
                f"there are {len(labels)} labels, the model has {card.classes} classes; "
                "give one label per line, in the order of the outputs"
            )
        check_signature(source.signature, path, card)
        say("writing it in the formats that backends read")
        files = Path(scratch) / "files"
        files.mkdir()
        card = source.write(files, card)
        write_labels(files / LABELS_FILE, labels)
        return repository.publish(card, lambda directory: _move(files, directory))


def _move(files: Path, directory: Path) -> None:
    # Made before, and not in the repository: a crash would leave a half-made version there.
    for path in files.iterdir():
        shutil.move(path, directory / path.name)


def _draft(path: Path, signature: Signature, wanted: Import) -> ModelCard:
    """Return a card that is right but for the formats, the activation and maybe the classes."""
    height, width = _size(signature, wanted)
    output = _output(signature, wanted)
    *_, classes = output.shape or (None,)
    return ModelCard(
        name=wanted.name,
        version=1,
        architecture="imported",
        license=wanted.license,
        source=f"imported from {path.name}",
        format="savedmodel",
        signature=SIGNATURE,
        output=output.name,
        activation="probabilities",
        labels=LABELS_FILE,
        classes=classes or len(wanted.labels or ("one",)),
        input=replace(wanted.preprocessing, height=height, width=width),
    )


def _size(signature: Signature, wanted: Import) -> tuple[int, int]:
    if len(signature.inputs) != 1:
        names = ", ".join(show(spec) for spec in signature.inputs) or "none"
        raise ModelInvalid(
            f"a classifier takes one input, an image batch; this takes {names}; export the model "
            "with the others fixed"
        )
    (spec,) = signature.inputs
    shape = spec.shape
    if len(shape) != _IMAGE_RANK or shape[3] not in {None, _CHANNELS}:
        raise ModelInvalid(
            f"this is no image classifier: its input is {show(spec)}, an image batch is "
            "float32(batch, height, width, 3); Rookery serves nothing else"
        )
    if spec.dtype != "float32":
        raise ModelInvalid(
            f"the input is {show(spec)}, it must be float32; export the model with an input of "
            "floats, and scale pixels of 0 to 255 with --mean and --scale"
        )
    height, width = (
        declared if chosen is None else chosen
        for declared, chosen in zip(shape[1:3], wanted.size or (None, None), strict=True)
    )
    if height is None or width is None:
        raise ModelInvalid("the model takes images of any size; choose one with --size 224x224")
    if shape[1] not in {None, height} or shape[2] not in {None, width}:
        raise ModelInvalid(
            f"the model takes images of {shape[2]}x{shape[1]}, not of {width}x{height}"
        )
    return height, width


def _output(signature: Signature, wanted: Import) -> TensorSpec:
    names = ", ".join(spec.name for spec in signature.outputs) or "none"
    chosen = wanted.choices.output
    # A node's output by TensorFlow's name, such as split:1, or by what it is called here.
    wished = chosen and chosen.removesuffix(":0").replace(":", "_")
    if chosen is None and len(signature.outputs) == 1:
        return signature.outputs[0]
    for spec in signature.outputs:
        if spec.name in {chosen, wished}:
            return spec
    raise ModelInvalid(f"choose the output that holds the class scores with --output: {names}")


def _run_sample(source: Source, card: ModelCard) -> NDArray[np.float32]:
    """Return the scores of one grey image, shape (1, classes)."""
    gray = np.full((card.input.height, card.input.width, _CHANNELS), 127, np.uint8)
    try:
        scores = source.run(normalize(gray, card.input)[None], card)
    except BackendFailed as exc:
        raise ModelInvalid(f"the model fails on a grey sample image: {exc}") from exc
    if scores.ndim != 2 or scores.shape[0] != 1 or not np.isfinite(scores).all():  # noqa: PLR2004
        raise ModelInvalid(
            f"output {card.output!r} is {scores.shape} for one grey image; "
            "a classifier's is (1, classes), all of them finite"
        )
    return scores


def _activation(scores: NDArray[np.float32], wanted: Import) -> Activation:
    if wanted.activation is not None:
        return wanted.activation
    sums_to_one = abs(float(scores.sum()) - 1) < _SUMS_TO_ONE and bool((scores >= 0).all())
    return "probabilities" if sums_to_one else "logits"
