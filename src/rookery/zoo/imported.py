"""A user's own classifier, a SavedModel folder or a .keras file, to a version in the repository."""

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import Signature, TensorSpec
from rookery.backends.savedmodel import SavedFunction, import_tensorflow, open_savedmodel
from rookery.backends.signature import check_signature
from rookery.errors import BackendFailed, ModelInvalid
from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing
from rookery.models.card import Activation, ModelCard, dump, parse_card
from rookery.models.labels import LABELS_FILE, write_labels
from rookery.models.repository import ModelVersion, Repository
from rookery.zoo.export import SIGNATURE, export

_KERAS_OUTPUT: Final = "scores"
_IMAGE_RANK: Final = 4  # (batch, height, width, channels)
_CHANNELS: Final = 3
_SUMS_TO_ONE: Final = 1e-3
_ANY_SIZE: Final = Preprocessing(height=1, width=1)  # the size is set later


@dataclass(frozen=True, slots=True)
class Import:
    """What a model file does not say about itself.

    Attributes:
        name: the model's name in the repository.
        labels: class names in the order of the outputs; None numbers them.
        size: (height, width); None takes it from the signature.
        preprocessing: everything but the size.
        signature: the SavedModel signature to serve.
        output: the output with the class scores; None when there is only one.
        activation: None looks whether a sample's scores sum to 1.
        license: SPDX expression.
    """

    name: str
    labels: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    preprocessing: Preprocessing = _ANY_SIZE
    signature: str = SIGNATURE
    output: str | None = None
    activation: Activation | None = None
    license: str = "NOASSERTION"


def import_model(path: Path, repository: Repository, choices: Import) -> ModelVersion:
    """Publish the model at *path* as the next version of its name, after running it once.

    Raises:
        BackendMissing: TensorFlow is not installed.
        ModelInvalid: the model or the labels cannot be used; the message says what to change.
    """
    with tempfile.TemporaryDirectory(prefix="rookery-import-") as scratch:
        source = _savedmodel(path, Path(scratch))
        function = open_savedmodel(source, choices.signature)
        card = _draft(path, function.signature, choices)
        parse_card(dump(card), "what the options describe")
        scores = _run_sample(function, card)
        card = replace(card, classes=scores.shape[1], activation=_activation(scores, choices))
        labels = choices.labels or tuple(f"class {index}" for index in range(card.classes))
        if len(labels) != card.classes:
            raise ModelInvalid(
                f"there are {len(labels)} labels, the model has {card.classes} classes; "
                "give one label per line, in the order of the outputs"
            )
        check_signature(function.signature, path, card)

        def build(directory: Path) -> None:
            shutil.copytree(source, directory, dirs_exist_ok=True)
            write_labels(directory / LABELS_FILE, labels)

        return repository.publish(card, build)


def _savedmodel(path: Path, scratch: Path) -> Path:
    """Return a folder with the SavedModel of *path*: itself, or one written into *scratch*."""
    if path.is_dir():
        return path
    if path.suffix != ".keras":
        raise ModelInvalid(f"{path} is neither a SavedModel folder nor a .keras file")
    import_tensorflow()  # before Keras does it, loudly
    import keras  # noqa: PLC0415 - takes seconds

    try:
        # Safe mode refuses layers that carry Python code.
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras has no error type of its own for a damaged file.
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as exc:
        raise ModelInvalid(f"Keras cannot load {path}: {exc}") from exc
    export(model, scratch, output=_KERAS_OUTPUT)
    return scratch


def _draft(path: Path, signature: Signature, choices: Import) -> ModelCard:
    """Return a card that is right but for the classes and the activation."""
    height, width = _size(signature, choices)
    output = _output(signature, choices)
    return ModelCard(
        name=choices.name,
        version=1,
        architecture="imported",
        license=choices.license,
        source=f"imported from {path.name}",
        format="savedmodel",
        signature=choices.signature,
        output=output.name,
        activation="probabilities",
        labels=LABELS_FILE,
        classes=1,
        input=replace(choices.preprocessing, height=height, width=width),
    )


def _size(signature: Signature, choices: Import) -> tuple[int, int]:
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs) or "none"
        raise ModelInvalid(f"a classifier takes one input, an image batch; this takes {names}")
    shape = signature.inputs[0].shape
    if len(shape) != _IMAGE_RANK or shape[3] not in {None, _CHANNELS}:
        raise ModelInvalid(f"the input is {shape}, an image batch is (batch, height, width, 3)")
    height, width = (
        declared if chosen is None else chosen
        for declared, chosen in zip(shape[1:3], choices.size or (None, None), strict=True)
    )
    if height is None or width is None:
        raise ModelInvalid("the model takes images of any size; choose one with --size 224x224")
    if shape[1] not in {None, height} or shape[2] not in {None, width}:
        raise ModelInvalid(
            f"the model takes images of {shape[2]}x{shape[1]}, not of {width}x{height}"
        )
    return height, width


def _output(signature: Signature, choices: Import) -> TensorSpec:
    names = ", ".join(spec.name for spec in signature.outputs)
    if choices.output is None and len(signature.outputs) == 1:
        return signature.outputs[0]
    for spec in signature.outputs:
        if spec.name == choices.output:
            return spec
    raise ModelInvalid(f"choose the output that holds the class scores with --output: {names}")


def _run_sample(function: SavedFunction, card: ModelCard) -> NDArray[np.float32]:
    """Return the scores of one grey image, shape (1, classes)."""
    grey = np.full((card.input.height, card.input.width, _CHANNELS), 127, np.uint8)
    try:
        outputs = function(normalize(grey, card.input)[None])
    except BackendFailed as exc:
        raise ModelInvalid(f"the model fails on a grey sample image: {exc}") from exc
    scores = outputs[card.output]
    if scores.ndim != 2 or scores.shape[0] != 1 or not np.isfinite(scores).all():  # noqa: PLR2004
        raise ModelInvalid(
            f"output {card.output!r} is {scores.shape} for one grey image; "
            "a classifier's is (1, classes), all of them finite"
        )
    return scores


def _activation(scores: NDArray[np.float32], choices: Import) -> Activation:
    if choices.activation is not None:
        return choices.activation
    sums_to_one = abs(float(scores.sum()) - 1) < _SUMS_TO_ONE and bool((scores >= 0).all())
    return "probabilities" if sums_to_one else "logits"
