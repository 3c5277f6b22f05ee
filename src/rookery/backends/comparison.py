"""Backends side by side: each runs the same images in a process of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.openvino import SIGNATURE
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
    """What one backend did: its trial and how far it agrees with the reference, or why not.

    There is no agreement where nothing else ran.
    """

    backend: str
    trial: Trial | None = None
    agreement: Agreement | None = None
    absent: str | None = None
    """Why it could not be tried here: not installed, or it does not read the model."""
    failure: str | None = None
    """What went wrong in a backend that is installed."""
    transient: bool = False
    """Whether it failed on the way, and may not the next time: it crashed, or took too long."""


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
    references: Sequence[str] = (),
) -> tuple[Row, ...]:
    """Run the images of *batch* on each of *backends*, one after the other, and compare them.

    The reference is the first of `TRUSTED` that can run *version*. Where only one of *backends*
    can, it is the first of *references* that can, whose row is then the last. Each is timed with
    *calls* calls, and may take *seconds*; *interpreters* are of those that need an environment of
    their own. *begin* is told which backend is next.
    """

    def run(backend: str) -> Row:
        unread = why_unread(backend, version.card)
        if unread is not None:
            return Row(backend, absent=unread)
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
        except BackendMissing as exc:
            return Row(backend, absent=str(exc))
        except ModelInvalid as exc:
            return Row(backend, failure=str(exc))
        except BackendFailed as exc:
            return Row(backend, failure=str(exc), transient=True)
        return Row(backend, trial)

    rows = [run(backend) for backend in backends]
    trials = [row.trial for row in rows if row.trial is not None]
    if len(trials) == 1:
        # No backend is its own reference.
        added = [*islice((row for row in map(run, references) if row.trial is not None), 1)]
        rows += added
        trials = [row.trial for row in added if row.trial is not None]
    reference = min(trials, key=lambda trial: _trust(trial.backend), default=None)
    if reference is None:
        return tuple(rows)
    return tuple(_compared(row, reference, version.card) for row in rows)


def why_unread(backend: str, card: ModelCard) -> str | None:
    """Say why *backend* does not read the model of *card*; None where it does."""
    there, reads = formats(card), READS.get(backend)
    if reads is None:
        return None
    readable = set(there).intersection(reads)
    if not readable:
        return f"it reads {', '.join(reads)}; the model is {', '.join(there)}"
    if backend == "openvino" and readable == {"savedmodel"} and card.signature != SIGNATURE:
        return f"it runs the signature {SIGNATURE!r}, the card names {card.signature!r}"
    return None


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
