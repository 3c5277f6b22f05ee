"""What a classifier says about one image, and its one JSON form."""

from dataclasses import dataclass

from rookery.images.info import ImageInfo


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: its label, its index in the label file, and its probability in 0..1."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds spent on one image: decoding and resizing, inferring, and all of it."""

    decode_ms: float
    infer_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True)
class Classification:
    """A classifier's answer, most probable class first."""

    model: str
    version: int
    backend: str
    image: ImageInfo
    scores: tuple[ClassScore, ...]
    timings: Timings


def to_document(classification: Classification) -> dict[str, object]:
    """Write *classification* as the JSON object of HTTP answers and result events alike.

    `top_prediction` is the original function's whole answer and keeps its shape.
    """
    image, timings = classification.image, classification.timings
    return {
        "top_prediction": [[score.label for score in classification.scores[:1]]],
        "predictions": [
            {
                "label": score.label,
                "index": score.index,
                "probability": round(score.probability, 6),
            }
            for score in classification.scores
        ],
        "model": {
            "name": classification.model,
            "version": str(classification.version),
            "backend": classification.backend,
        },
        "image": {"format": image.format, "width": image.width, "height": image.height},
        "timings": {
            "decode_ms": round(timings.decode_ms, 3),
            "infer_ms": round(timings.infer_ms, 3),
            "total_ms": round(timings.total_ms, 3),
        },
    }
