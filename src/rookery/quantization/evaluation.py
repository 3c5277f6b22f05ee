"""A model's answers to many images in files: read one after the other, never all in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import LoadedModel
from rookery.images.files import read_if_usable
from rookery.images.limits import ImageLimits
from rookery.models.card import ModelCard
from rookery.models.scores import probabilities
from rookery.quantization.report import Change

_TIMED_CALLS: Final = 20

Step = Callable[[int, int], None]
"""Is told how many of how many are done."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answers to those images that could be used.

    Attributes:
        images: their files.
        scores: probabilities, shape (images, classes).
        skipped: how many files could not be used.
    """

    images: tuple[Path, ...]
    scores: NDArray[np.float32]
    skipped: int


def evaluate(
    model: LoadedModel, card: ModelCard, images: Sequence[Path], limits: ImageLimits, step: Step
) -> Answers:
    """Ask *model*, described by *card*, about each of *images*, one at a time.

    Raises:
        BackendFailed: the model cannot answer.
    """
    usable: list[Path] = []
    scores: list[NDArray[np.float32]] = []
    for number, image in enumerate(images):
        step(number, len(images))
        instance = read_if_usable(image, card.input, limits)
        if instance is None:
            continue
        scores.append(probabilities(model(instance[np.newaxis]), card).astype(np.float32))
        usable.append(image)
    step(len(images), len(images))
    answered = np.stack(scores) if scores else np.empty((0, card.classes), np.float32)
    return Answers(tuple(usable), answered, len(images) - len(usable))


def time_in_turns(before: LoadedModel, after: LoadedModel, batch: NDArray[np.float32]) -> Change:
    """Return the median milliseconds that each of two models takes for *batch*.

    They run in turns, so that whatever else the machine does troubles both.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TIMED_CALLS):
        for model, taken in zip((before, after), times, strict=True):
            started = perf_counter()
            model(batch)
            taken.append((perf_counter() - started) * 1000)
    return Change(median(times[0]), median(times[1]))
