"""A model file that is kept as it is, and tried by a library in a process of its own.

What reads such files is C++ that an untrusted file may crash: here that is one more refusal.
"""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.layout import interleaved
from rookery.backends.options import Options
from rookery.backends.protocol import Signature, TensorSpec
from rookery.backends.trial import run_trial
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.card import ModelCard, ModelFormat
from rookery.models.formats import FILES
from rookery.models.repository import ModelVersion

_SECONDS: Final = 120
_CHANNELS: Final = 3
_RANK: Final = 4


class LibrarySource:
    """Files that one of several libraries runs."""

    def __init__(
        self,
        signature: Signature,
        format_: ModelFormat,
        files: Mapping[str, Path],
        backends: tuple[str, ...],
        scratch: Path,
    ) -> None:
        """Copy *files*, by their names in a version, to *scratch*; try *backends* in order."""
        self._signature = Signature(
            tuple(_channels_last(spec) for spec in signature.inputs),
            # A file may leave the shape of an output open altogether.
            tuple(replace(spec, shape=spec.shape or (None, None)) for spec in signature.outputs),
        )
        self._format: ModelFormat = format_
        self._backends = backends
        self._files = tuple(files)
        self._path = files[FILES[format_]]
        self._scratch = scratch
        for name, path in files.items():
            shutil.copyfile(path, scratch / name)

    @property
    def signature(self) -> Signature:
        """What the file says it takes and gives."""
        return self._signature

    def run(self, batch: NDArray[np.float32], card: ModelCard) -> NDArray[np.float32]:
        """Run it with the first library that is installed.

        Raises:
            BackendMissing: none of them is.
            ModelInvalid: it cannot be run, or nobody says how many classes it has.
        """
        spec = next(spec for spec in self._signature.outputs if spec.name == card.output)
        # Backends refuse a card with too few classes, and this one has none but a placeholder.
        if spec.shape[-1] is None and card.classes == 1:
            raise ModelInvalid(
                f"{self._path} does not say how many classes it has; give --labels, a file with "
                "one class per line"
            )
        # As the model gives them: nobody knows yet whether they are logits.
        raw = replace(card, format=self._format, other_formats=(), activation="probabilities")
        version = ModelVersion(self._scratch, raw)
        missing: BackendMissing | None = None
        for backend in self._backends:
            try:
                trial = run_trial(version, backend, batch, Options(), calls=1, seconds=_SECONDS)
            except BackendMissing as exc:
                missing = missing or exc
            except (ModelInvalid, BackendFailed) as exc:
                raise ModelInvalid(
                    f"{backend} cannot run {self._path}: {self._told(exc)}; "
                    "export it again, with standard operations only"
                ) from exc
            else:
                return trial.scores
        raise missing or BackendMissing("no backend reads such a model")

    def write(self, directory: Path, card: ModelCard) -> ModelCard:
        """Copy the files that were tried."""
        for name in self._files:
            shutil.copyfile(self._scratch / name, directory / name)
        return replace(card, format=self._format, other_formats=())

    def _told(self, exc: Exception) -> str:
        """Return what *exc* says, with the user's file where it names our copy."""
        told = str(exc)
        for ours in (self._scratch / FILES[self._format], self._scratch):
            told = told.replace(str(ours), str(self._path))
        return told


def _channels_last(spec: TensorSpec) -> TensorSpec:
    """Describe a channels-first image batch as callers pass it: backends turn it."""
    if len(spec.shape) != _RANK or spec.shape[1] != _CHANNELS or spec.shape[3] == _CHANNELS:
        return spec
    return interleaved(spec)
