"""Backends side by side: each runs the same images in a process of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.options import Options
from rookery.backends.trial import Trial, run_trial
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.agreement import Agreement, compare
from rookery.models.card import ModelCard, ModelFormat
from rookery.models.formats import formats
from rookery.models.repository import ModelVersion

TRUSTED: Final = ("tensorflow", "tensorflow-frozen", "openvino", "opencv", "itex", "tensorflow-xla")
"""The backends that compute, the one to be believed first."""

READS: Final[Mapping[str, tuple[ModelFormat, ...]]] = {
    **dict.fromkeys(
        ("tensorflow", "tensorflow-frozen", "tensorflow-xla", "itex"), ("savedmodel", "frozen")
    ),
    "opencv": ("frozen", "onnx"),
    "openvino": ("openvino", "savedmodel", "onnx", "frozen"),
}
"""Which formats each reads, so that no library is imported to find out."""

TOLERANCE: Final = 1e-4
"""How far probabilities in fp32 may lie apart: the same sums, in another order."""

# In int8, libraries round in different places.
_ROUNDED: Final = 0.02
_NONE: Final[Mapping[str, Path]] = {}


@dataclass(frozen=True, slots=True)
class Row:
    """What one backend did: its trial and how far it agrees with the reference, or why not."""

    backend: str
    trial: Trial | None = None
    agreement: Agreement | None = None
    absent: str | None = None
    """Why it could not be tried here: not installed, or it does not read the model."""
    failure: str | None = None
    """What went wrong in a backend that is installed."""


def run_trials(  # noqa: PLR0913 - each is one thing about the trials
    version: ModelVersion,
    backends: Sequence[str],
    batch: NDArray[np.float32],
    options: Options,
    *,
    calls: int,
    seconds: float = 300,
    interpreters: Mapping[str, Path] = _NONE,
    begin: Callable[[str], None] = lambda backend: None,  # noqa: ARG005
) -> tuple[Row, ...]:
    """Run the images of *batch* on each of *backends*, one after the other, and compare them.

    The reference is the first of `TRUSTED` that can run *version*. Each is timed with *calls*
    calls, and may take *seconds*; *interpreters* are of those that need an environment of their
    own. *begin* is told which backend is next.
    """
    rows = []
    for backend in backends:
        there, read = formats(version.card), READS.get(backend)
        if read is not None and not set(there).intersection(read):
            reason = f"it reads {', '.join(read)}; the model is {', '.join(there)}"
            rows.append(Row(backend, absent=reason))
            continue
        begin(backend)
        try:
            trial = run_trial(
                version,
                backend,
                batch,
                options,
                calls=calls,
                seconds=seconds,
                python=interpreters.get(backend),
            )
            rows.append(Row(backend, trial))
        except (BackendMissing, ModelInvalid) as exc:
            rows.append(Row(backend, absent=str(exc)))
        except BackendFailed as exc:
            rows.append(Row(backend, failure=str(exc)))
    tried = [row.trial for row in rows if row.trial is not None]
    reference = min(tried, key=lambda trial: _trust(trial.backend), default=None)
    if reference is None:
        return tuple(rows)
    return tuple(_compared(row, reference, version.card) for row in rows)


def agrees(agreement: Agreement, card: ModelCard) -> bool:
    """Whether a backend's answers are those of the reference, as precisely as *card* allows.

    In fp32 that is the same five best classes in the same order and probabilities within
    `TOLERANCE`; in int8, where each library rounds as it likes, the same best class.
    """
    if card.precision == "int8":
        return agreement.top_1 == 1
    return agreement.top_5 == 1 and agreement.largest_difference <= TOLERANCE


def tie(card: ModelCard) -> float:
    """Return how close two classes' probabilities are that may change places on a backend."""
    return _ROUNDED if card.precision == "int8" else TOLERANCE


def _compared(row: Row, reference: Trial, card: ModelCard) -> Row:
    if row.trial is None:
        return row
    agreement = compare(reference.scores, row.trial.scores, tie=tie(card))
    return Row(row.backend, row.trial, agreement)


def _trust(backend: str) -> int:
    return TRUSTED.index(backend) if backend in TRUSTED else len(TRUSTED)
