"""The process of a trial: `python -m rookery.backends.trial_child FOLDER`, see `trial`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from rookery.backends.options import Options, Performance
from rookery.backends.protocol import LoadedModel
from rookery.backends.registry import create_backend, import_library
from rookery.backends.trial import BATCH_FILE, REQUEST_FILE, RESULT_FILE, SCORES_FILE
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.card import parse_card
from rookery.models.scores import probabilities

_T = TypeVar("_T")


class _Options(TypedDict):
    threads: int
    performance: Performance
    pin: bool
    cache: str | None


class _Request(TypedDict):
    backend: str
    directory: str
    card: str
    options: _Options
    calls: int
    batch_size: int


def main(folder: Path) -> None:
    """Do the trial that is described in *folder*, and leave there what came of it."""
    try:
        result = _trial(folder)
    except (BackendMissing, ModelInvalid, BackendFailed) as exc:
        result = {"error": type(exc).__name__, "message": str(exc)}
    (folder / RESULT_FILE).write_text(json.dumps(result), encoding="utf-8")


def _trial(folder: Path) -> dict[str, object]:
    request: _Request = json.loads((folder / REQUEST_FILE).read_text(encoding="utf-8"))
    batch: NDArray[np.float32] = np.load(folder / BATCH_FILE, allow_pickle=False)
    card = parse_card(request["card"], "the card of the trial")
    backend = create_backend(request["backend"], _options(request["options"]))
    import_ms, _ = _timed(lambda: import_library(request["backend"]))
    load_ms, model = _timed(lambda: backend.load(Path(request["directory"]), card))
    first_ms, first = _timed(lambda: model(batch[:1]))
    rest = [model(batch[index : index + 1]) for index in range(1, len(batch))]
    scores = np.stack(
        [probabilities(outputs, card) for outputs in (first, *rest)]
    )  # (images, classes)
    np.save(folder / SCORES_FILE, scores.astype(np.float32), allow_pickle=False)
    size = request["batch_size"]
    repeated = np.resize(batch, (size, *batch.shape[1:]))
    return {
        "import_ms": import_ms,
        "load_ms": load_ms,
        "first_ms": first_ms,
        "median_ms": _median(model, repeated, request["calls"]),
        "resident_bytes": _resident_bytes(),
    }


def _options(request: _Options) -> Options:
    cache = request["cache"]
    return Options(
        threads=request["threads"],
        performance=request["performance"],
        pin=request["pin"],
        cache=None if cache is None else Path(cache),
    )


def _timed(work: Callable[[], _T]) -> tuple[float, _T]:
    began = perf_counter()
    result = work()
    return (perf_counter() - began) * 1000, result


def _median(model: LoadedModel, batch: NDArray[np.float32], calls: int) -> float:
    # The first with this batch size may prepare something for it: it is not timed.
    model(batch)
    return median(_timed(lambda: model(batch))[0] for _ in range(calls))


def _resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "VmRSS":
            return int(value.split()[0]) * 1024
    raise BackendFailed("/proc/self/status says nothing of VmRSS")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
