"""What scaled decoding costs in answers: the same class as after a full decode, or another?"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bare import find
from images import encoded, photographs
from rookery.backends.options import Options
from rookery.backends.registry import create_backend
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing
from table import Row

MODEL = "efficientnet-lite0"
# Shorter sides. Up to 895 pixels all is decoded; 900 and 1800 are scaled as far as ever we do.
SIDES = (375, 600, 900, 1224, 1800, 2688, 3000)
CROP = 0.85
TARGET = 0.995

Sizing = Callable[[Image.Image, int], Image.Image]


@dataclass
class Tally:
    """Pictures of one kind.

    Attributes:
        grey_levels: the mean difference of the pixels, of each.
        leads: of those that changed their class: by how much probability the best class was
            ahead of the second after the full decode.
        by_noise: how many change their class when as many grey levels are added or taken at
            random: what this network makes of a tie.
    """

    grey_levels: list[float] = field(default_factory=list)
    leads: list[float] = field(default_factory=list)
    by_noise: int = 0

    @property
    def seen(self) -> int:
        """How many there were."""
        return len(self.grey_levels)

    @property
    def agreement(self) -> float:
        """The share whose class stayed."""
        return 1 - len(self.leads) / self.seen


def run() -> list[Row]:
    """Compare every kind of view, at every size and at all together; each is judged."""
    rows = []
    for kind, views, at in (
        ("tiled", _whole(), _tiled),
        ("whole and mirrored, enlarged where needed", _whole(), _resized),
        ("crops, enlarged where needed", _crops(), _resized),
    ):
        total = Tally()
        for side, tally in compare(views, at, SIDES):
            rows.append(_row(f"{kind}, shorter side {side}", tally))
            total.grey_levels += tally.grey_levels
            total.leads += tally.leads
            total.by_noise += tally.by_noise
        rows.append(_row(f"{kind}, all sizes", total))
    return rows


def compare(
    views: list[Image.Image], at: Sizing, sides: Iterable[int]
) -> Iterator[tuple[int, Tally]]:
    """Classify each view, brought *at* each of *sides*, after a full decode and after ours."""
    version = find(MODEL)
    model = create_backend("openvino", Options()).load(version.directory, version.card)
    target = version.card.input
    random = np.random.default_rng(0)

    def probabilities(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return next(iter(model(normalize(pixels, target)[np.newaxis]).values()))[0]

    for side in sides:
        tally = Tally()
        for view in views:
            data = encoded(at(view, side))
            full, ours = exact(data, target), decode(data, target, ImageLimits()).pixels
            difference = float(np.abs(ours - full.astype(np.int16)).mean())
            before = probabilities(full)
            tally.grey_levels.append(difference)
            tally.by_noise += (
                before.argmax() != probabilities(_noisy(full, difference, random)).argmax()
            )
            if before.argmax() != probabilities(ours).argmax():
                second, first = np.partition(before, -2)[-2:]
                tally.leads.append(float(first - second))
        yield side, tally


def exact(data: bytes, target: Preprocessing) -> NDArray[np.uint8]:
    """Decode in full and resize with the antialiased filter; *target* squashes, in bicubic."""
    assert (target.resize, target.interpolation) == ("squash", "bicubic")
    with Image.open(io.BytesIO(data)) as image:
        size = (target.width, target.height)
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))


def _noisy(
    pixels: NDArray[np.uint8], difference: float, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Change every value up or down, by *difference* grey levels in the mean."""
    whole, part = divmod(difference, 1)
    step = whole + (random.random(pixels.shape) < part)
    step *= random.choice((-1, 1), pixels.shape)
    changed = pixels + step
    # What would leave the range goes the other way: cut off, it would be less than it is to be.
    outside = (changed < 0) | (changed > 255)
    return np.where(outside, pixels - step, changed).astype(np.uint8)


def _whole() -> list[Image.Image]:
    """Each photograph, and its mirror image."""
    mirror = Image.Transpose.FLIP_LEFT_RIGHT
    return [view for image in photographs() for view in (image, image.transpose(mirror))]


def _crops() -> list[Image.Image]:
    """Four of each photograph, that lack two edges each."""
    crops = []
    for image in photographs():
        width, height = int(image.width * CROP), int(image.height * CROP)
        for left in (0, image.width - width):
            crops.extend(
                image.crop((left, top, left + width, top + height))
                for top in (0, image.height - height)
            )
    return crops


def _resized(view: Image.Image, side: int) -> Image.Image:
    """Shrink or enlarge *view*; what is enlarged has no more detail than before."""
    return view.resize(_size(view, side), Image.Resampling.BICUBIC)


def _tiled(view: Image.Image, side: int) -> Image.Image:
    """Cut *view*, or continue it with its mirror images: every pixel is as it was."""
    width, height = _size(view, side)
    missing = ((0, max(height - view.height, 0)), (0, max(width - view.width, 0)), (0, 0))
    tiles = np.pad(np.asarray(view), missing, mode="symmetric")
    return Image.fromarray(tiles[:height, :width])


def _size(view: Image.Image, side: int) -> tuple[int, int]:
    factor = side / min(view.size)
    return round(view.width * factor), round(view.height * factor)


def _row(what: str, tally: Tally) -> Row:
    led = f"the others had led by {max(tally.leads):.3f} at most" if tally.leads else "no other"
    return Row(
        f"same class as after a full decode: {what}",
        f"{tally.seen - len(tally.leads)} of {tally.seen}; {led}",
        f"{tally.seen - tally.by_noise} with noise of the same {np.mean(tally.grey_levels):.2f} "
        "grey levels",
        f"{100 * tally.agreement:.2f} %",
        f">= {100 * TARGET:.1f} %",
        tally.agreement >= TARGET,
    )
