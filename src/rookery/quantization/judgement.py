"""Whether a model in int8 is as good as it was: what is looked at, and the verdict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rookery.errors import QuantizationRefused
from rookery.models.card import ModelCard
from rookery.models.formats import FILES, choose_format
from rookery.quantization.evaluation import Answers
from rookery.quantization.nncf import READ
from rookery.quantization.report import Accuracy, Quantization
from rookery.quantization.truths import Classes

# Of /proc/cpuinfo: they multiply and add four pairs of int8 at once, per lane.
_INSTRUCTIONS: Final = frozenset({"avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8"})


def judge(report: Quantization) -> None:
    """Refuse what agrees too little.

    Raises:
        QuantizationRefused: fewer images keep their best class than was asked for.
    """
    found = report.agreement
    if found.top_1 < report.min_agreement:
        kept = round(found.top_1 * found.images)
        raise QuantizationRefused(
            f"in int8, {report.source} keeps its best class on {kept:,} of {found.images:,} images "
            f"({found.top_1:.1%}), which is less than {report.min_agreement:.1%}: nothing is "
            "published; give more, and more typical, images, or accept less with --min-agreement"
        )


def accuracy(before: Answers, after: Answers, truths: Mapping[Path, Classes]) -> Accuracy | None:
    """Return how often both are right on the images that *truths* knows; None without any."""
    known = [index for index, image in enumerate(before.images) if image in truths]
    if not known:
        return None
    right = [
        sum(int(answers.scores[index].argmax()) in truths[before.images[index]] for index in known)
        for answers in (before, after)
    ]
    return Accuracy(len(known), right[0] / len(known), right[1] / len(known))


def network_bytes(directory: Path, card: ModelCard) -> int:
    """Return the size of the network in *directory*, in the one format that is read of it."""
    chosen = choose_format(card, directory, READ, "nncf")
    files = [directory / FILES[chosen]]
    if chosen == "savedmodel":
        files += directory.glob("variables/*")
    if chosen == "openvino":
        files += directory.glob("*.bin")
    return sum(file.stat().st_size for file in files)


def has_int8_instructions(cpu: str) -> bool:
    """Whether a CPU with the flags *cpu*, separated by spaces, computes int8 with VNNI or AMX."""
    return not _INSTRUCTIONS.isdisjoint(cpu.split())
