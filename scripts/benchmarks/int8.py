"""Models in int8: made with the photographs that packages carry, and compared on the same."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from images import encoded, photographs
from rookery.models.repository import ModelVersion
from rookery.quantization.report import REPORT_FILE
from table import Row
from zoo_commands import newest, run_rookery

_CROP = 0.8


def quantized(name: str) -> ModelVersion | None:
    """Return *name* in int8, made where it is not here; None where that fails."""
    if newest(f"{name}-int8") is None:
        with TemporaryDirectory() as folder:
            for number, view in enumerate(_views()):
                (Path(folder) / f"{number}.jpg").write_bytes(encoded(view))
            # What disagrees is shown, not refused; random weights agree with nothing anyway.
            run_rookery("models", "quantize", name, "--calibration", folder, "--min-agreement=0")
    return newest(f"{name}-int8")


def agreement(version: ModelVersion) -> Row:
    """Show how many of the photographs kept their best class.

    It is not judged: sixty pictures, a third of which fp32 itself is undecided about, are a sample
    of how a model in int8 differs, not of how good it is.
    """
    report = json.loads((version.directory / REPORT_FILE).read_text())
    found = report["agreement"]
    kept = round(found["top_1"] * found["images"])
    before, after = (report["bytes"][when] / 1e6 for when in ("before", "after"))
    return Row(
        f"{version.card.name}, same best class as fp32",
        f"{kept} of {found['images']} photographs and parts of them",
        f"largest difference {found['largest_difference']:.3f}; "
        f"{after:.1f} MB, in fp32 {before:.1f} MB",
        f"{found['top_1']:.1%}",
    )


def _views() -> list[Image.Image]:
    """Each photograph, its mirror image, and four parts of it."""
    views = []
    for image in photographs():
        width, height = int(image.width * _CROP), int(image.height * _CROP)
        views += [image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
        views += [
            image.crop((left, top, left + width, top + height))
            for left in (0, image.width - width)
            for top in (0, image.height - height)
        ]
    return views
