"""The model card: one frozen description of a model version, stored beside it as model.json."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Literal, cast, get_args

from rookery.errors import ModelInvalid
from rookery.images.preprocessing import ColorOrder, Interpolation, Preprocessing, ResizeMode
from rookery.models.fields import Fields

Activation = Literal["probabilities", "logits"]
ModelFormat = Literal["savedmodel", "frozen", "onnx", "openvino", "fixed"]
Precision = Literal["fp32", "int8"]

CARD_FILE = "model.json"

# Raised when an older Rookery could misread a card. New optional fields do not raise it:
# fields that are not known here are ignored.
_SCHEMA: Final = 1
_MAX_CARD_BYTES: Final = 4 * 1024 * 1024
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model version is and how to feed it.

    Attributes:
        name: the model's name: its folder in the repository.
        version: a positive integer; the newest is served.
        architecture: the network, such as `EfficientNet-Lite0`.
        license: SPDX expression of the weights.
        source: where the weights came from, as a person would look for it.
        format: what lies in the version's folder.
        signature: the SavedModel signature to call.
        output: the name of the output that holds class scores, shape (batch, classes).
        activation: whether that output already sums to 1.
        labels: the label file's name, relative to the folder; one class per line.
        classes: the number of classes.
        input: how pixels are prepared.
        files: sha256 (hex) of every other file in the folder, by POSIX path relative to it.
        other_formats: further formats in which the folder holds the same network.
        precision: of the weights and of what is computed with them.
        parameters: the number of weights; None where nobody counted.
        gflops: billions of multiplications and additions an image costs, each counted as one.
        top_1: the share of ImageNet's validation images that the publisher of these very weights
            found to be classified right, 0..1.
    """

    name: str
    version: int
    architecture: str
    license: str
    source: str
    format: ModelFormat
    signature: str
    output: str
    activation: Activation
    labels: str
    classes: int
    input: Preprocessing
    files: dict[str, str] = field(default_factory=dict)
    other_formats: tuple[ModelFormat, ...] = ()
    precision: Precision = "fp32"
    parameters: int | None = None
    gflops: float | None = None
    top_1: float | None = None


def is_model_name(name: str) -> bool:
    """Whether *name* can be a model's folder: lowercase words, never a path."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def load_card(directory: Path) -> ModelCard:
    """Read the card of the model version in *directory*.

    Raises:
        ModelInvalid: there is none, or it cannot be used; every problem is listed.
    """
    path = directory / CARD_FILE
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_CARD_BYTES + 1)
    except OSError as exc:
        raise ModelInvalid(f"{path} cannot be read: {exc.strerror or exc}") from exc
    if len(text) > _MAX_CARD_BYTES:
        raise ModelInvalid(f"{path} is longer than {_MAX_CARD_BYTES:,} bytes: no model card is")
    return parse_card(text, str(path))


def parse_card(text: str | bytes, where: str) -> ModelCard:
    """Read the card in *text*; *where* names it in messages.

    Raises:
        ModelInvalid: it cannot be used; every problem is listed.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ModelInvalid(f"{where} is not JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise ModelInvalid(f"{where} must hold a JSON object")
    problems: list[str] = []
    card = _card(Fields(document, problems))
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ModelInvalid(f"{where} is no model card:\n{lines}")
    return card


def dump(card: ModelCard) -> str:
    """Write *card* as the text of a model.json; `load_card` reads it back unchanged."""
    return json.dumps({"schema": _SCHEMA, **asdict(card)}, indent=2, ensure_ascii=False) + "\n"


def _card(fields: Fields) -> ModelCard:
    if (schema := fields.positive("schema")) > _SCHEMA:
        fields.problem("schema", f"is {schema}, this Rookery reads up to {_SCHEMA}: upgrade it")
    name = fields.text("name")
    if name and not is_model_name(name):
        fields.problem("name", f"must be lowercase letters, digits, '.', '_' and '-', not {name!r}")
    labels = fields.text("labels")
    files = fields.texts("files")
    for path, digest in files.items():
        if not _is_inside(path):
            fields.problem("files", f"must stay inside the folder, {path!r} does not")
        if not _SHA256.fullmatch(digest):
            fields.problem("files", f"must map to sha256 in hex; {path!r} maps to {digest!r}")
    if labels and not _is_inside(labels):
        fields.problem("labels", f"must stay inside the folder, {labels!r} does not")
    return ModelCard(
        name=name,
        version=fields.positive("version"),
        architecture=fields.text("architecture"),
        license=fields.text("license"),
        source=fields.text("source"),
        format=cast("ModelFormat", fields.choice("format", get_args(ModelFormat))),
        signature=fields.text("signature"),
        output=fields.text("output"),
        activation=cast("Activation", fields.choice("activation", get_args(Activation))),
        labels=labels,
        classes=fields.positive("classes"),
        input=_preprocessing(fields.nested("input")),
        files=files,
        other_formats=tuple(
            cast("ModelFormat", choice)
            for choice in fields.choices("other_formats", get_args(ModelFormat))
        ),
        precision=cast("Precision", fields.choice("precision", get_args(Precision), "fp32")),
        parameters=None if fields.absent("parameters") else fields.positive("parameters"),
        gflops=None if fields.absent("gflops") else fields.number("gflops"),
        top_1=None if fields.absent("top_1") else fields.number("top_1"),
    )


def _preprocessing(fields: Fields) -> Preprocessing:
    crop_fraction = fields.number("crop_fraction")
    if not 0 < crop_fraction <= 1:
        fields.problem("crop_fraction", f"must be above 0 and at most 1, not {crop_fraction}")
    scale = fields.triple("scale")
    if 0 in scale:
        fields.problem("scale", "must not be 0: pixels are divided by it")
    return Preprocessing(
        height=fields.positive("height"),
        width=fields.positive("width"),
        resize=cast("ResizeMode", fields.choice("resize", get_args(ResizeMode))),
        crop_fraction=crop_fraction,
        interpolation=cast(
            "Interpolation", fields.choice("interpolation", get_args(Interpolation))
        ),
        color_order=cast("ColorOrder", fields.choice("color_order", get_args(ColorOrder))),
        mean=fields.triple("mean"),
        scale=scale,
    )


def _is_inside(path: str) -> bool:
    parsed = PurePosixPath(path)
    return not parsed.is_absolute() and ".." not in parsed.parts and bool(parsed.parts)
