"""A published model to the same in int8: calibrated, judged, published only if it is as good."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.protocol import Backend
from rookery.cpus import has_int8_instructions
from rookery.errors import ModelNotFound, QuantizationRefused
from rookery.images.files import evenly, find_images, read_instance
from rookery.images.limits import ImageLimits
from rookery.models.agreement import compare
from rookery.models.card import ModelCard, is_model_name
from rookery.models.formats import choose_format, network_bytes
from rookery.models.integrity import verify
from rookery.models.labels import read_labels
from rookery.models.repository import ModelVersion, Repository
from rookery.models.warmup_requests import WARM_UP_FILE
from rookery.quantization.evaluation import Answers, evaluate, time_in_turns
from rookery.quantization.judgment import accuracy, judge
from rookery.quantization.nncf import READ, import_nncf, to_int8
from rookery.quantization.report import REPORT_FILE, Change, Quantization, dump
from rookery.quantization.truths import read_truths
from rookery.snapshots.facts import facts

_log = logging.getLogger(__name__)

# NNCF's own default is 300; with fewer than this the ranges of activations are mostly luck.
_FEW: Final = 100

Progress = Callable[[str, int, int], None]
"""Is told what is being done, and how many of how many images."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a model is to become int8.

    Attributes:
        name: of the model that is published.
        folder: of the images it is calibrated with and judged by.
        min_agreement: the share, 0..1, of images that must keep their best class.
        subset: how many images it is calibrated with, at most.
        images: how many images are looked at, at most, taken evenly from all of the folder.
        limits: which images are looked at.
    """

    name: str
    folder: Path
    min_agreement: float = 0.99
    subset: int = 300
    images: int = 1000
    limits: ImageLimits = field(default_factory=ImageLimits)


def quantize(
    version: ModelVersion,
    repository: Repository,
    backend: Backend,
    wishes: Wishes,
    progress: Progress,
) -> tuple[ModelVersion, Quantization]:
    """Publish *version* in int8, and say how it compares with what it was, both on *backend*.

    Raises:
        BackendMissing: NNCF or OpenVINO is not installed.
        ModelInvalid: the version is damaged, or cannot be read.
        QuantizationRefused: there are no images, it is int8 already, or agrees too little.
    """
    card = version.card
    _check(card, wishes)
    _check_name(card, wishes.name, repository)
    import_nncf()  # before minutes are spent
    verify(version.directory, card)
    labels = read_labels(version.directory, card)
    there = find_images([wishes.folder])
    images = evenly(there, wishes.images)
    truths = read_truths(wishes.folder, there, labels)
    model = backend.load(version.directory, card)
    before = evaluate(model, card, images, wishes.limits, _named(progress, "asking in fp32"))
    calibration = evenly(_usable(before, wishes), wishes.subset)
    reports: list[Quantization] = []

    def build(directory: Path) -> None:
        """Fill *directory*; raises where it must not be published."""
        _copy_around(version, directory)
        to_int8(
            version.directory,
            card,
            calibration,
            _counted(card, wishes.limits, progress, len(calibration)),
            directory,
        )
        quantized = backend.load(directory, int8)
        asked = _named(progress, "asking in int8")
        after = evaluate(quantized, int8, before.images, wishes.limits, asked)
        reports.append(
            Quantization(
                source=f"{card.name}/{card.version}",
                images=len(before.images),
                skipped=before.skipped,
                calibrated=len(calibration),
                min_agreement=wishes.min_agreement,
                agreement=compare(before.scores, after.scores),
                accuracy=accuracy(before, after, truths),
                milliseconds=time_in_turns(model, quantized, batch),
                bytes=Change(
                    _network_bytes(version.directory, card), _network_bytes(directory, int8)
                ),
                int8_instructions=has_int8_instructions(facts("")["cpu"]),
                nncf=version_of("nncf"),
                openvino=version_of("openvino"),
            )
        )
        judge(reports[0])
        (directory / REPORT_FILE).write_text(dump(reports[0]), encoding="utf-8")

    int8 = _int8_card(card, wishes, len(calibration))
    batch = read_instance(calibration[0], card.input, wishes.limits)[np.newaxis]
    return repository.publish(int8, build), reports[0]


def _check(card: ModelCard, wishes: Wishes) -> None:
    if card.precision == "int8":
        raise QuantizationRefused(f"{card.name}/{card.version} is int8 already; name its original")
    if card.format == "fixed":
        raise QuantizationRefused(f"{card.name}/{card.version} computes nothing that could be int8")
    if not wishes.folder.is_dir():
        raise QuantizationRefused(f"{wishes.folder} is no folder; give one with images")


def _check_name(card: ModelCard, name: str, repository: Repository) -> None:
    if not is_model_name(name):
        raise QuantizationRefused(
            f"{name!r} is no model name; use lowercase letters, digits, '.', '_', '-'"
        )
    try:
        there = repository.find(name).card
    except ModelNotFound:
        return
    if there.precision != "int8":
        raise QuantizationRefused(
            f"{name} is a model in {there.precision}, which int8 would replace as its newest "
            f"version; choose another --name, such as {card.name}-int8"
        )


def _usable(before: Answers, wishes: Wishes) -> tuple[Path, ...]:
    """Return the images that could be used.

    Raises:
        QuantizationRefused: there are none.
    """
    if not before.images:
        raise QuantizationRefused(
            f"{wishes.folder} holds no image that can be used ({before.skipped} cannot); give a "
            "folder with some hundred typical images, in folders below it or not"
        )
    if len(before.images) < _FEW:
        _log.warning(
            "only %d images: %d typical ones or more find better ranges, and judge better",
            len(before.images), _FEW,
        )  # fmt: skip
    return before.images


def _int8_card(card: ModelCard, wishes: Wishes, calibrated: int) -> ModelCard:
    return replace(
        card,
        name=wishes.name,
        source=f"int8 of {card.name}/{card.version}, calibrated with {calibrated} images; "
        f"that is: {card.source}",
        format="openvino",
        other_formats=(),
        precision="int8",
        # What was published about the accuracy was found in fp32.
        top_1=None,
        files={},
    )


def _copy_around(version: ModelVersion, directory: Path) -> None:
    """Copy what belongs to the model and is not its network."""
    for name in (Path(version.card.labels), WARM_UP_FILE):
        if (version.directory / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(version.directory / name, directory / name)


def _network_bytes(directory: Path, card: ModelCard) -> int:
    return network_bytes(directory, choose_format(card, directory, READ, "nncf"))


def _named(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def _counted(
    card: ModelCard, limits: ImageLimits, progress: Progress, total: int
) -> Callable[[Path], NDArray[np.float32]]:
    """Return what reads an image as a batch, and says how many it has read."""
    count = 0

    def read(path: Path) -> NDArray[np.float32]:
        nonlocal count
        # Some are read once more at the end, to correct the biases.
        count = min(count + 1, total)
        progress("calibrating", count, total)
        return read_instance(path, card.input, limits)[np.newaxis]

    return read
