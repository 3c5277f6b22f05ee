"""What became of a model in int8, as it is stored beside it: quantization.json."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rookery.errors import ModelInvalid
from rookery.models.agreement import Agreement
from rookery.models.fields import Fields

REPORT_FILE: Final = "quantization.json"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The share, 0..1, of *images* whose class is known that are answered with it."""

    images: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Change:
    """A number in fp32 and in int8."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Quantization:
    """A model before (fp32) and after (int8), both on OpenVINO, on the same images.

    Attributes:
        source: the version it was made from, NAME/VERSION.
        images: how many were judged by.
        skipped: how many files could not be used as images.
        calibrated: on how many of the images the ranges of the activations were found.
        min_agreement: below which nothing would have been published.
        agreement: of the answers before and after.
        accuracy: before and after; None where nobody said what is on the images.
        milliseconds: the median time of one image, measured in turns.
        bytes: the size of the network.
        int8_instructions: whether the CPU that measured multiplies int8 at once (VNNI, AMX).
        nncf: its version.
        openvino: its version.
    """

    source: str
    images: int
    skipped: int
    calibrated: int
    min_agreement: float
    agreement: Agreement
    accuracy: Accuracy | None
    milliseconds: Change
    bytes: Change
    int8_instructions: bool
    nncf: str
    openvino: str


def dump(report: Quantization) -> str:
    """Write *report* as the text of a quantization.json."""
    return json.dumps(asdict(report), indent=2) + "\n"


def summary(directory: Path) -> str:
    """Say in a line what the quantization.json of the version in *directory* says.

    Raises:
        ModelInvalid: there is none, or it cannot be used.
    """
    path = directory / REPORT_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise ModelInvalid(f"{path} cannot be read: {exc}") from exc
    if not isinstance(document, dict):
        raise ModelInvalid(f"{path} must hold a JSON object")
    problems: list[str] = []
    fields = Fields(document, problems)
    agreement = fields.nested("agreement")
    line = (
        f"int8 of {fields.text('source')}: the same best class on "
        f"{agreement.number('top_1'):.1%} of {fields.positive('images'):,} images"
    )
    if not fields.absent("accuracy"):
        accuracy = fields.nested("accuracy")
        line += f", accuracy {accuracy.number('before'):.1%} before, "
        line += f"{accuracy.number('after'):.1%} after"
    if problems:
        raise ModelInvalid(f"{path} is no report: {'; '.join(problems)}")
    return line
