"""From an encoded photograph to a model's pixels on one core: ours, beside other ways to do it."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.preprocessing import Preprocessing
from table import Row

SIDE = 224
TARGET = Preprocessing(SIDE, SIDE)
# name -> width, height, rounds
SIZES = {
    "0.2": (500, 375, 100),
    "2": (1632, 1224, 30),
    "12": (4000, 3000, 8),
    "48": (8000, 6000, 4),
}
ENLARGED = 2  # photographs of half a megapixel have more detail in a pixel than those of 48
PHOTOGRAPHS = (
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/retina.jpg"),
)

Way = Callable[[bytes], object]


@dataclass(frozen=True)
class Measured:
    """CPU milliseconds for one size of photograph.

    Attributes:
        megapixels: the size, as it is called.
        file_bytes: of the JPEG.
        ours: what the function does.
        plain: Pillow without scaled decoding: open, convert, resize.
        scaled: libjpeg-turbo alone, at the smallest scale it has that is no smaller than the model.
        others: the same by libraries that are not used, of those that are installed.
    """

    megapixels: str
    file_bytes: int
    ours: float
    plain: float
    scaled: float
    others: dict[str, float]


def run() -> list[Row]:
    """Compare every size."""
    return [row for megapixels in SIZES for row in as_rows(measure(megapixels))]


def as_rows(measured: Measured) -> list[Row]:
    """Say what was measured for one size."""
    what = f"{measured.megapixels} MP JPEG ({measured.file_bytes / 1e6:.1f} MB) to {SIDE}x{SIDE}"
    rows = [
        Row(
            what,
            f"{measured.ours:.1f} ms of CPU, {1000 / measured.ours:.0f} images/s per core",
            f"Pillow's plain path {measured.plain:.1f} ms, {1000 / measured.plain:.0f} images/s; "
            f"libjpeg-turbo's scaled decode alone {measured.scaled:.1f} ms",
            f"{measured.plain / measured.ours:.1f}x as fast",
        )
    ]
    rows += [
        Row(f"{what}, {name}", f"{taken:.1f} ms of CPU", "", f"{measured.ours / taken:.2f}x ours")
        for name, taken in measured.others.items()
    ]
    return rows


def measure(megapixels: str) -> Measured:
    """Decode one photograph in every way, in turns."""
    width, height, rounds = SIZES[megapixels]
    data = mosaic(width, height)
    ways: dict[str, Way] = {
        "ours": lambda data: decode(data, TARGET, ImageLimits()).pixels,
        "plain": _plain,
        "scaled": _scaled,
        **_others(),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = process_time()
            way(data)
            taken[name].append((process_time() - started) * 1000)
    medians = {name: median(times) for name, times in taken.items()}
    return Measured(
        megapixels,
        len(data),
        ours=medians.pop("ours"),
        plain=medians.pop("plain"),
        scaled=medians.pop("scaled"),
        others=medians,
    )


def photographs() -> list[Image.Image]:
    """Return the photographs that packages carry, of half a megapixel to two."""
    found = []
    for package, path in PHOTOGRAPHS:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"bench: {package} is not installed; run scripts/setup dev")
        with Image.open(Path(spec.origin).parent / path) as image:
            found.append(image.convert("RGB"))
    return found


def mosaic(width: int, height: int) -> bytes:
    """Return a JPEG of so many pixels, laid out of photographs, with the detail of a camera's."""
    if width < 1000:
        return encoded(photographs()[1].resize((width, height), Image.Resampling.LANCZOS))
    canvas = Image.new("RGB", (width, height))
    tiles = cycle(_enlarged(photographs()))
    for top in range(0, height, 800):
        left = 0
        while left < width:
            tile = next(tiles)
            canvas.paste(tile.crop((0, 0, tile.width, 800)), (left, top))
            left += tile.width
    return encoded(canvas)


def encoded(image: Image.Image) -> bytes:
    """Return *image* as a JPEG of ordinary quality."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _enlarged(images: Iterable[Image.Image]) -> list[Image.Image]:
    return [
        image.resize((image.width * ENLARGED, image.height * ENLARGED), Image.Resampling.BICUBIC)
        for image in images
    ]


def _plain(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _scaled(data: bytes) -> object:
    with JpegImageFile(io.BytesIO(data)) as image:
        image.draft(None, (SIDE, SIDE))
        return image.load()


def _others() -> dict[str, Way]:
    """Return the ways that are not ours, with what is installed of them."""
    ways: dict[str, Way] = {}
    if find_spec("cv2"):
        ways["OpenCV: reduced, INTER_AREA"] = _opencv()
    if find_spec("simplejpeg"):
        ways["simplejpeg: scaled, Pillow's resize"] = _simplejpeg()
    if find_spec("pyvips"):
        ways["pyvips: thumbnail"] = _pyvips()
    return ways


def _opencv() -> Way:
    import cv2  # noqa: PLC0415 - not needed by the others

    cv2.setNumThreads(1)
    reduced = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }

    def way(data: bytes) -> object:
        with JpegImageFile(io.BytesIO(data)) as image:
            scale = max(scale for scale in reduced if scale == 1 or min(image.size) >= scale * SIDE)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), reduced[scale])
        return cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    return way


def _simplejpeg() -> Way:
    import simplejpeg  # noqa: PLC0415 - not needed by the others

    def way(data: bytes) -> object:
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=SIDE, min_height=SIDE, min_factor=2)
        return np.asarray(
            Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC, None, 3.0)
        )

    return way


def _pyvips() -> Way:
    import pyvips  # noqa: PLC0415 - not needed by the others

    def way(data: bytes) -> object:
        return pyvips.Image.thumbnail_buffer(data, SIDE, height=SIDE, size="force").numpy()

    return way
