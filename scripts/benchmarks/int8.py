"""Models in int8: made with the photographs that packages carry, and compared on the same."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from bare import BENCH_HOME, HOME
from images import encoded, photographs
from rookery.models.repository import ModelVersion
from rookery.quantization.report import REPORT_FILE
from table import Row
from zoo_commands import newest, run_rookery

AGREEMENT_TARGET = 0.99
_CROP = 0.8


def quantized(name: str) -> ModelVersion | None:
    """Return *name* in int8, made of its newest version; None where that fails."""
    original = newest(name)
    if original is None:
        return None
    source = f"{name}/{original.card.version}"
    if _made(name, source) is None:
        _lend(name)
        with TemporaryDirectory() as folder:
            for number, view in enumerate(_views()):
                (Path(folder) / f"{number}.jpg").write_bytes(encoded(view))
            # What disagrees is judged here, not refused; random weights agree with nothing anyway.
            wishes = (f"--calibration={folder}", "--min-agreement=0")
            run_rookery(BENCH_HOME, "models", "quantize", source, *wishes)
    return _made(name, source)


def agreement(version: ModelVersion) -> Row:
    """Judge how many of the photographs kept their best class."""
    report = _report(version)
    found = report["agreement"]
    kept = round(found["top_1"] * found["images"])
    before, after = (report["bytes"][when] / 1e6 for when in ("before", "after"))
    return Row(
        f"{version.card.name}, same best class as fp32",
        f"{kept} of {found['images']} photographs and parts of them",
        f"largest difference {found['largest_difference']:.3f}; "
        f"{after:.1f} MB, in fp32 {before:.1f} MB",
        f"{found['top_1']:.1%}",
        f">= {AGREEMENT_TARGET:.0%}",
        found["top_1"] >= AGREEMENT_TARGET,
    )


def _made(name: str, source: str) -> ModelVersion | None:
    """Return *name* in int8 if the newest there is was made of *source*, NAME/VERSION."""
    version = newest(f"{name}-int8", BENCH_HOME)
    return version if version is not None and _report(version)["source"] == source else None


def _lend(name: str) -> None:
    """Let the bench's home have the versions of *name* that are in the user's."""
    models = BENCH_HOME / "models"
    models.mkdir(parents=True, exist_ok=True)
    if not (models / name).is_symlink():
        (models / name).symlink_to((HOME / "models" / name).absolute())


def _report(version: ModelVersion) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((version.directory / REPORT_FILE).read_text())
    return found


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
