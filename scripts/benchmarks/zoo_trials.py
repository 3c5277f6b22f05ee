"""Every model of the zoo on every backend, each in a process of its own, in turns."""

import sys
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from bare import HOME
from http_overhead import photograph
from int8 import quantized
from rookery.backends.itex import find_interpreter
from rookery.backends.options import Options
from rookery.backends.registry import backend_names
from rookery.backends.trial import Trial, run_trial
from rookery.errors import RookeryError
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.models.card import ModelCard
from rookery.models.repository import ModelVersion
from zoo_commands import pulled

ROUNDS = 3
CALLS = 20
BATCH = 8
BATCH_CALLS = 5

# Speed does not depend on the weights: what would have to be downloaded gets random ones.
MODELS = {
    "efficientnet-lite0": "published",
    "mobilenet-v3": "random",
    "googlenet": "random",
    "resnet50": "random",
    "inception-v3": "random",
}
QUANTIZED = ("efficientnet-lite0", "resnet50")


@dataclass
class Case:
    """One model on one backend: a trial a round, and one in batches; or why there is none."""

    version: ModelVersion
    backend: str
    trials: list[Trial] = field(default_factory=list)
    batch: Trial | None = None
    problem: str = ""

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self.version.card

    def median(self, of: str) -> float:
        """Return the median of a `Trial`'s field."""
        return float(median(getattr(trial, of) for trial in self.trials))


def prepare() -> list[ModelVersion]:
    """Return the models to measure, made where they are not here."""
    found = [pulled(name, weights) for name, weights in MODELS.items()]
    found += [quantized(name) for name in QUANTIZED]
    return [version for version in found if version is not None]


def measure(versions: list[ModelVersion]) -> list[Case]:
    """Try each of *versions* on each backend; what a backend cannot do is not tried again."""
    backends = [name for name in backend_names() if name not in {"auto", "fixed"}]
    cases = [
        Case(version, backend)
        for version in versions
        for backend in backends
        if backend == "openvino" or version.card.format != "openvino"
    ]
    image = photograph()
    for turn in range(ROUNDS):
        for case in cases:
            if case.problem:
                continue
            print(f"  {case.card.name}, {case.backend}: round {turn + 1}", file=sys.stderr)
            batch = _batch(case.card, image)
            try:
                case.trials.append(_try(case, batch, CALLS, 1))
                if turn == 0:
                    case.batch = _try(case, batch, BATCH_CALLS, BATCH)
            except RookeryError as exc:
                case.problem = str(exc)
    return cases


def _try(case: Case, batch: NDArray[np.float32], calls: int, size: int) -> Trial:
    python = find_interpreter(HOME.absolute()) if case.backend == "itex" else None
    return run_trial(
        case.version, case.backend, batch, Options(), calls=calls, batch_size=size, python=python
    )


def _batch(card: ModelCard, image: bytes) -> NDArray[np.float32]:
    return normalize(decode(image, card.input, ImageLimits()).pixels, card.input)[np.newaxis]
