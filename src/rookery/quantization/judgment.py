"""Whether a model in int8 is as good as it was: what is looked at, and the verdict."""

from collections.abc import Mapping
from pathlib import Path

from rookery.errors import QuantizationRefused
from rookery.quantization.evaluation import Answers
from rookery.quantization.report import Accuracy, Quantization
from rookery.quantization.truths import Classes


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
