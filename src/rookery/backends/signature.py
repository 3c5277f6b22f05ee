"""Whether a loaded model is the one its card describes, and a batch one that it takes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import Signature, TensorSpec
from rookery.errors import BackendFailed, ModelInvalid
from rookery.models.card import ModelCard


def card_signature(card: ModelCard) -> Signature:
    """Return what *card* says, for what tells no names and shapes of its own."""
    image = (card.input.height, card.input.width, 3)
    return Signature(
        inputs=(TensorSpec("image", "float32", (None, *image)),),
        outputs=(TensorSpec(card.output, "float32", (None, card.classes)),),
    )


def check_signature(signature: Signature, directory: Path, card: ModelCard) -> None:
    """Compare *signature* with *card*: one image input of its size, one output with its classes.

    Raises:
        ModelInvalid: they differ; every difference is listed, with what the model has.
    """
    problems = [*_input_problems(signature, card), *_output_problems(signature, card)]
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ModelInvalid(
            f"the model in {directory} does not fit its card; import it again with the right "
            f"options:\n{lines}"
        )


def check_batch(batch: NDArray[np.float32], signature: Signature) -> None:
    """Compare *batch* with the only input of *signature*; libraries do not all do it themselves.

    Raises:
        BackendFailed: its type or shape is another.
    """
    spec = signature.inputs[0]
    if batch.dtype.name != spec.dtype or not _matches(batch.shape, spec.shape):
        raise BackendFailed(
            f"the batch is {batch.dtype}{_shape(batch.shape)}, the model takes {show(spec)}"
        )


def _input_problems(signature: Signature, card: ModelCard) -> list[str]:
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs) or "none"
        return [f"it must take one input, an image batch; it takes {names}"]
    (spec,) = signature.inputs
    expected = (None, card.input.height, card.input.width, 3)
    if spec.dtype != "float32" or not _matches(spec.shape, expected):
        return [f"input {show(spec)} must be float32{_shape(expected)}, as the card says"]
    return []


def _output_problems(signature: Signature, card: ModelCard) -> list[str]:
    spec = next((spec for spec in signature.outputs if spec.name == card.output), None)
    if spec is None:
        names = ", ".join(show(spec) for spec in signature.outputs) or "none"
        return [f"the card's output {card.output!r} does not exist; the model has {names}"]
    if spec.dtype != "float32" or not _matches(spec.shape, (None, card.classes)):
        return [f"output {show(spec)} must be float32{_shape((None, card.classes))}"]
    return []


def _matches(found: tuple[int | None, ...], expected: tuple[int | None, ...]) -> bool:
    """Whether *found* can be *expected*; an unknown size may turn out to be any."""
    return len(found) == len(expected) and all(
        one is None or other is None or one == other
        for one, other in zip(found, expected, strict=True)
    )


def show(spec: TensorSpec) -> str:
    """Describe *spec* to people: its name, type and shape."""
    return f"{spec.name!r} {spec.dtype}{_shape(spec.shape)}"


def _shape(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"
