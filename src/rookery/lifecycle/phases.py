"""The phases of a function as types: what takes `Warmed` cannot hold a socket.

    loaded = load(version, backend)
    warmed = warm(loaded, limits=..., top_k=...)
    # The snapshot point: what is above runs once per image, what is below once per clone.
    with connect(warmed, ...) as subscriber:
        ...

`connect` is the composition root's, because only there are the adapters known.
"""

import logging
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from rookery.backends.protocol import Backend, LoadedModel
from rookery.events.object_created import ObjectCreated
from rookery.events.result import completed
from rookery.events.wire import to_binary
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.images.sample import sample_jpeg
from rookery.lifecycle.recorded import run_recorded
from rookery.models.card import ModelCard
from rookery.models.integrity import verify
from rookery.models.labels import read_labels
from rookery.models.repository import ModelVersion
from rookery.models.warmup_requests import WARM_UP_FILE
from rookery.pipeline import Classifier

_log = logging.getLogger(__name__)

# The first call compiles and allocates, the second finds what the first left to do lazily.
_WARM_UP_CALLS: Final = 2
_SAMPLE: Final = ObjectCreated(bucket="warm-up", key="sample.jpg", event_name="ObjectCreated:Put")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory that has never run, and the folder it came from."""

    model: LoadedModel
    card: ModelCard
    labels: tuple[str, ...]
    backend: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Warmed:
    """A classifier that has answered real requests and holds nothing a snapshot forbids."""

    classifier: Classifier


def load(version: ModelVersion, backend: Backend) -> Loaded:
    """Read the model's files into memory.

    Raises:
        ModelInvalid: the files are not those that were published, or do not match the card.
    """
    started = perf_counter()
    card = version.card
    verify(version.directory, card)
    labels = read_labels(version.directory, card)
    model = backend.load(version.directory, card)
    _log.info(
        "loaded %s/%d on %s in %.1f s",
        card.name, card.version, backend.name, perf_counter() - started,
    )  # fmt: skip
    return Loaded(
        model=model, card=card, labels=labels, backend=backend.name, directory=version.directory
    )


def warm(
    loaded: Loaded,
    *,
    limits: ImageLimits,
    top_k: int,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    batch_sizes: tuple[int, ...] = (1,),
) -> Warmed:
    """Run real requests through the whole path: decode, infer, result event, encoding.

    The model runs at each of *batch_sizes*, and answers the requests it brings along.

    Raises:
        BackendFailed: the model cannot answer.
    """
    started = perf_counter()
    classifier = Classifier(
        model=loaded.model,
        card=loaded.card,
        labels=loaded.labels,
        backend=loaded.backend,
        limits=limits,
        top_k=min(top_k, loaded.card.classes),
        turn=turn,
    )
    image = sample_jpeg()
    # The sample is ours: limits that would refuse it are meant for strangers.
    unlimited = replace(classifier, limits=ImageLimits())
    for _ in range(_WARM_UP_CALLS):
        answer = unlimited.classify(image)
        to_binary(completed(answer, cause=None, obj=_SAMPLE, source="/warm-up", time=""))
    _run_batches(unlimited, image, batch_sizes)
    recorded = run_recorded(loaded.directory / WARM_UP_FILE, unlimited)
    _log.info(
        "warmed up in %.1f s%s",
        perf_counter() - started,
        f", with {recorded} of the model's own requests" if recorded else "",
    )  # fmt: skip
    return Warmed(classifier)


def _run_batches(classifier: Classifier, image: bytes, sizes: Collection[int]) -> None:
    # A batch of one has gone the whole path already.
    larger = [size for size in sizes if size > 1]
    if not larger:
        return
    wanted = classifier.card.input
    instance = normalize(decode(image, wanted, classifier.limits).pixels, wanted)
    for size in larger * _WARM_UP_CALLS:
        with classifier.turn():
            classifier.model(np.repeat(instance[np.newaxis], size, axis=0))
