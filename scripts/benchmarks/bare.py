"""The bare backend call on the same pixels: what everything else is measured against."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from rookery.backends.registry import create_backend
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.models.repository import ModelVersion, Repository

HOME = Path(".rookery")
# For models that only benchmarks want: not among those of whoever works in this checkout.
BENCH_HOME = HOME / "bench"
WARM_UP = 5


def find(model: str, home: Path = HOME) -> ModelVersion:
    """Return the newest version of *model* in *home*."""
    return Repository(home / "models").find(model)


def bare_call(version: ModelVersion, backend: str, image: bytes) -> Callable[[], float]:
    """Load *version* and return a function that runs it once and returns milliseconds."""
    model = create_backend(backend).load(version.directory, version.card)
    pixels = decode(image, version.card.input, ImageLimits()).pixels
    batch = normalize(pixels, version.card.input)[np.newaxis]

    def call() -> float:
        started = perf_counter()
        model(batch)
        return (perf_counter() - started) * 1000

    for _ in range(WARM_UP):
        call()
    return call
