"""ROOKERY_BACKEND=auto: measure the backends that are installed, once, and take the fastest."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from rookery.backends.comparison import TRUSTED, Row, run_trials, tie
from rookery.backends.fixed import FixedBackend
from rookery.backends.options import Options
from rookery.backends.trial import Trial
from rookery.errors import BackendMissing
from rookery.events.identity import digest
from rookery.gpus import visible_gpus
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.images.sample import sample_jpeg
from rookery.models.agreement import compare
from rookery.models.card import ModelCard, dump
from rookery.models.integrity import verify
from rookery.models.repository import ModelVersion
from rookery.snapshots.facts import facts

_log = logging.getLogger(__name__)

# Not tensorflow-xla: it compiles for many seconds, here and then with every start.
CANDIDATES: Final = tuple(name for name in TRUSTED if name != "tensorflow-xla")
"""The backends that are measured, the one to be believed first."""

_CALLS: Final = 10
_SECONDS: Final = 60
# Less is noise: among those so close to the fastest, the one that starts first is taken.
_AS_FAST: Final = 1.05


@dataclass(frozen=True, slots=True)
class Choice:
    """The backend to use, and why.

    Attributes:
        backend: its name.
        milliseconds: the median time of one image on each backend that answers right.
        left_out: why each of the others is not a candidate.
    """

    backend: str
    milliseconds: dict[str, float]
    left_out: dict[str, str]


def choose_fastest(
    version: ModelVersion,
    home: Path,
    options: Options,
    *,
    candidates: Sequence[str] = CANDIDATES,
) -> str:
    """Return the one of *candidates* that runs *version* fastest here, and log why.

    They are measured one after the other, in processes of their own, which takes some seconds
    each; what was found is kept below *home* until the model, the CPU, the GPUs, Rookery, the
    installed libraries or *options* are others. One that fails, or does not answer what most do, is
    never chosen. Where one crashed or took too long nothing is kept: it may run the next time.
    A model that is `fixed` takes the backend of that name.

    Raises:
        ModelInvalid: the model is damaged.
        BackendMissing: none of *candidates* can run it.
    """
    card = version.card
    if card.format == "fixed":
        _log.info("auto chose fixed for %s/%d: it computes nothing", card.name, card.version)
        return FixedBackend.name
    path = home / "cache" / "backends" / f"{_key(card, options, candidates)}.json"
    choice = _remembered(path, candidates)
    how = "measured before"
    if choice is None:
        how = "measured now"
        verify(version.directory, card)
        rows = run_trials(
            version, candidates, _pictures(card), options, calls=_CALLS, seconds=_SECONDS
        )
        choice = choose(rows, card)
        if not any(row.transient for row in rows):
            _remember(path, choice)
    times = ", ".join(
        f"{name} {milliseconds:.1f} ms"
        for name, milliseconds in sorted(choice.milliseconds.items(), key=lambda item: item[1])
    )
    left = f"; not {', '.join(sorted(choice.left_out))}" if choice.left_out else ""
    _log.info(
        "auto chose %s for %s/%d: %s%s (%s)",
        choice.backend, card.name, card.version, times, left, how,
    )  # fmt: skip
    return choice.backend


def choose(rows: Sequence[Row], card: ModelCard) -> Choice:
    """Return the fastest of *rows* whose best classes are those that most of them see.

    Where as many see others, the most trusted decides; where several are as fast, the start.

    Raises:
        BackendMissing: none of them has run.
    """
    left_out = {row.backend: row.absent or row.failure or "" for row in rows if row.trial is None}
    trials = [row.trial for row in rows if row.trial is not None]
    if not trials:
        reasons = "\n".join(f"  - {name}: {reason}" for name, reason in left_out.items())
        raise BackendMissing(
            f"no backend can run {card.name}/{card.version}; install one, or set ROOKERY_BACKEND "
            f"to the one that is meant:\n{reasons}"
        )
    right = max((_like(trial, trials, card) for trial in trials), key=len)
    for trial in trials:
        if trial not in right:
            left_out[trial.backend] = "it sees other classes than most"
    best = min(trial.median_ms for trial in right)
    quick = [trial for trial in right if trial.median_ms <= best * _AS_FAST]
    chosen = min(quick, key=lambda trial: trial.import_ms + trial.load_ms)
    return Choice(
        chosen.backend, {trial.backend: round(trial.median_ms, 3) for trial in right}, left_out
    )


def _like(trial: Trial, trials: Sequence[Trial], card: ModelCard) -> list[Trial]:
    """Return those of *trials* that see the best classes that *trial* sees."""
    return [
        other for other in trials if compare(trial.scores, other.scores, tie=tie(card)).top_1 == 1
    ]


def _pictures(card: ModelCard) -> NDArray[np.float32]:
    """Return four pictures that look different to a model, shape (4, height, width, 3)."""
    pixels = decode(sample_jpeg(), card.input, ImageLimits()).pixels
    turned = (pixels, pixels[::-1], pixels[:, ::-1], pixels[:, :, ::-1])
    return np.stack([normalize(np.ascontiguousarray(one), card.input) for one in turned])


def _key(card: ModelCard, options: Options, candidates: Sequence[str]) -> str:
    """Return what changes with everything that may make another backend the fastest."""
    here = facts("")
    known = {name: here[name] for name in ("python", "libraries", "code", "cpu")}
    wanted = asdict(options) | {"cache": options.cache is not None}
    parts = [dump(card), known, visible_gpus(), wanted, [*candidates]]
    return digest(json.dumps(parts, sort_keys=True))


def _remembered(path: Path, candidates: Sequence[str]) -> Choice | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        choice = Choice(
            found["backend"],
            {str(name): float(time) for name, time in found["milliseconds"].items()},
            {str(name): str(reason) for name, reason in found["left_out"].items()},
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # There is none, or not a whole one: it is measured again.
        return None
    return choice if choice.backend in candidates else None


def _remember(path: Path, choice: Choice) -> None:
    incoming = path.with_name(f".{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        incoming.write_text(json.dumps(asdict(choice), indent=2), encoding="utf-8")
        incoming.replace(path)
    except OSError as exc:
        _log.warning("the next start will measure the backends again: %s", exc)
