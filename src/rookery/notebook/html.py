"""A prediction as a notebook shows it: the picture, and bars beside it."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.models.classification import ClassScore
from rookery.notebook.pictures import to_png

_SIDE: Final = 224  # of the picture's longer side, in CSS pixels
_BAR: Final = 240  # of a probability of 1

# Colors that are read on white and on black; a notebook may be either.
_PAGE: Final = """\
<div style="display:flex;gap:1em;align-items:center">
<img width="{width}" height="{height}" alt="{alt}" src="data:image/png;base64,{png}">
<div>
<table style="border-collapse:collapse">
{rows}
</table>
<small>{said}</small>
</div>
</div>"""
_ROW: Final = (
    '<tr><td style="text-align:left">{label}</td>'
    '<td style="text-align:right">{probability:.1%}</td>'
    '<td style="text-align:left"><div style="height:.8em;width:{width}px;background:#4c78a8">'
    "</div></td></tr>"
)


def write(scores: Sequence[ClassScore], pixels: NDArray[np.uint8], shape: float, said: str) -> str:
    """Write *scores* beside *pixels*, RGB, which are shown *shape* times as wide as high.

    Labels come from a model's files and are escaped: a model cannot put a script on the page.
    """
    rows = "\n".join(
        _ROW.format(
            label=escape(score.label),
            probability=score.probability,
            width=max(round(score.probability * _BAR), 1),
        )
        for score in scores
    )
    return _PAGE.format(
        width=ceil(_SIDE * min(shape, 1)),
        height=ceil(_SIDE / max(shape, 1)),
        alt=escape(scores[0].label) if scores else "",
        png=b64encode(to_png(pixels)).decode(),
        rows=rows,
        said=escape(said),
    )
