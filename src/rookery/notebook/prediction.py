"""What a model says about one picture, for a person to look at."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rookery.models.classification import Classification, ClassScore, Timings
from rookery.notebook import html, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP: Final = 5
_BAR: Final = 24  # characters of a probability of 1


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Prediction:
    """A model's answer about one picture; a notebook shows it with the picture.

    Attributes:
        classification: all of the answer, every class, the most probable first.
        pixels: what the model has looked at, RGB, shape (height, width, 3).
        shape: width over height as the picture is meant to be seen.
    """

    classification: Classification
    pixels: NDArray[np.uint8]
    shape: float

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classification.scores[0].label

    @property
    def probability(self) -> float:
        """How probable the model holds that class, 0..1."""
        return self.classification.scores[0].probability

    @property
    def timings(self) -> Timings:
        """Milliseconds of decoding, of inferring, and of both."""
        return self.classification.timings

    def top(self, count: int = TOP) -> tuple[ClassScore, ...]:
        """Return the *count* most probable classes, best first; fewer if there are fewer."""
        return self.classification.scores[: max(count, 0)]

    def plot(self, count: int = TOP) -> "Axes":
        """Draw the picture beside bars of the *count* most probable classes; return the bars' axes.

        A notebook shows it by itself; `.figure.savefig("cat.png")` writes it to a file.

        Raises:
            BackendMissing: matplotlib is not installed.
        """
        return plot.draw(self.top(count), self.pixels, self.shape, self.said())

    def said(self) -> str:
        """Say in one line who has answered, about what, and how quickly."""
        answer, image = self.classification, self.classification.image
        return (
            f"{answer.model}/{answer.version} on {answer.backend}; "
            f"{image.format} {image.width}x{image.height}; "
            f"decoded in {answer.timings.decode_ms:.1f} ms, "
            f"inferred in {answer.timings.infer_ms:.1f} ms"
        )

    def __repr__(self) -> str:
        width = max((len(score.label) for score in self.top()), default=0)
        lines = [
            f"{score.label:{width}}  {score.probability:6.1%}  "
            f"{'█' * round(score.probability * _BAR)}".rstrip()
            for score in self.top()
        ]
        return "\n".join([*lines, self.said()])

    def _repr_html_(self) -> str:
        return html.write(self.top(), self.pixels, self.shape, self.said())
