"""What a connected function is: everything that answers, with its connections open."""

from dataclasses import dataclass

from rookery.models.classification import Classification
from rookery.pipeline import Classifier
from rookery.serving.gallery import Gallery
from rookery.serving.metrics import FunctionMetrics
from rookery.serving.subscriber import Subscriber


@dataclass(frozen=True, slots=True)
class Service:
    """A function that is loaded, warmed and connected."""

    classifier: Classifier
    gallery: Gallery
    metrics: FunctionMetrics
    subscriber: Subscriber

    def classify(self, data: bytes) -> Classification:
        """Classify one encoded image and count it."""
        answer = self.classifier.classify(data)
        self.metrics.observe(answer.timings)
        return answer
