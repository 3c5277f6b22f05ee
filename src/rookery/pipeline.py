"""The sentence the product is: an object-created fact becomes an image, a prediction, a result."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import LoadedModel
from rookery.events.object_created import ObjectCreated
from rookery.events.result import completed
from rookery.events.wire import CloudEvent
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.models.card import ModelCard
from rookery.models.classification import Classification, Timings
from rookery.models.scores import classify_scores
from rookery.storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model in memory with everything needed to classify encoded images.

    Holds no sockets and no credentials, so it may live across a snapshot. Safe to call from
    many threads at once.

    Attributes:
        turn: entered around the CPU-bound part; bounds how many images are worked on at once.
    """

    model: LoadedModel
    card: ModelCard
    labels: tuple[str, ...]
    backend: str
    limits: ImageLimits
    top_k: int
    turn: Callable[[], AbstractContextManager[None]] = nullcontext

    def classify(self, data: bytes) -> Classification:
        """Classify one encoded image.

        Raises:
            ImageError: the bytes cannot be used as an image.
            BackendFailed: the inference library failed, or returned what is no score.
        """
        return self.look(data)[1]

    def look(self, data: bytes) -> tuple[NDArray[np.uint8], Classification]:
        """Classify one encoded image; return the pixels that were looked at as well.

        They have the shape (height, width, 3) and the color order that the card declares.

        Raises:
            ImageError: the bytes cannot be used as an image.
            BackendFailed: the inference library failed, or returned what is no score.
        """
        with self.turn():
            started = perf_counter()
            image = decode(data, self.card.input, self.limits)
            batch = normalize(image.pixels, self.card.input)[np.newaxis]  # (1, height, width, 3)
            decoded = perf_counter()
            outputs = self.model(batch)
            inferred = perf_counter()
            scores = classify_scores(outputs, self.card, self.labels, self.top_k)
        return image.pixels, Classification(
            model=self.card.name,
            version=self.card.version,
            backend=self.backend,
            image=image.info,
            scores=scores,
            timings=Timings(
                decode_ms=(decoded - started) * 1000,
                infer_ms=(inferred - decoded) * 1000,
                total_ms=(perf_counter() - started) * 1000,
            ),
        )


def recognize(  # noqa: PLR0913
    obj: ObjectCreated,
    *,
    store: ObjectStore,
    classifier: Classifier,
    cause: CloudEvent | None,
    source: str,
    time: str,
) -> CloudEvent:
    """Classify the image that *obj* announces and return the result event.

    Args:
        obj: the object to read.
        store: where it is.
        classifier: what classifies it.
        cause: the event that announced it, whose trace context the result carries on.
        source: the `source` attribute of the result.
        time: the `time` attribute of the result, RFC 3339.

    Raises:
        ObjectGone, ObjectReplaced, ObjectTooLarge, ImageError: final, for this object.
        StorageUnavailable, StorageDenied, BackendFailed: a retry may succeed.
    """
    # A version is what it is; without one, what is there now may be a later upload's.
    stored = store.read(
        obj.bucket,
        obj.key,
        version=obj.version,
        max_bytes=classifier.limits.max_bytes,
        etag=obj.etag if obj.version is None else None,
    )
    return completed(
        classifier.classify(stored.data),
        cause=cause,
        obj=obj,
        source=source,
        time=time,
        etag=stored.etag,
    )
