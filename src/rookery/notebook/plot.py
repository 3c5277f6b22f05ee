"""A prediction as a figure: the only module that draws with matplotlib."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rookery.errors import BackendMissing
from rookery.models.classification import ClassScore

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES: Final = (9.0, 3.2)
_LABEL: Final = 40  # characters: the full names of WordNet are longer than a figure is wide


def draw(
    scores: Sequence[ClassScore], pixels: NDArray[np.uint8], shape: float, said: str
) -> "Axes":
    """Draw *pixels*, RGB, shown *shape* times as wide as high, and bars of *scores* beside them.

    Raises:
        BackendMissing: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - a heavy, optional library
    except ModuleNotFoundError as exc:
        if exc.name != "matplotlib":
            raise
        raise BackendMissing(
            'matplotlib is not installed; run: pip install "rookery[notebook]"'
        ) from exc
    picture: Axes
    bars: Axes
    figure, (picture, bars) = plt.subplots(
        1, 2, figsize=_INCHES, layout="constrained", width_ratios=(2, 3)
    )
    height, width, _ = pixels.shape
    picture.imshow(pixels, aspect=width / height / shape)
    picture.set_axis_off()
    places = range(len(scores))
    bars.barh(places, [score.probability for score in scores])
    for place, score in zip(places, scores, strict=True):
        bars.text(score.probability, place, f" {score.probability:.1%}", va="center")
    bars.set_yticks(places, [_shortened(score.label) for score in scores])
    bars.invert_yaxis()
    bars.set_xlim(0, 1.12)  # room for the number beside a bar of 1
    bars.set_xlabel("probability")
    bars.spines[["top", "right"]].set_visible(False)
    figure.suptitle(said, fontsize="small")
    return bars


def _shortened(label: str) -> str:
    # A dollar sign would begin a formula.
    text = label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
    return text.replace("$", r"\$")
