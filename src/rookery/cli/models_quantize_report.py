"""What `rookery models quantize` found, for people."""

from typing import TYPE_CHECKING, Final

from rookery.cli.table import columns

if TYPE_CHECKING:
    from rookery.quantization.report import Quantization

_MEBIBYTE: Final = 1024 * 1024


def lines(report: "Quantization") -> list[str]:
    """Write *report* for people."""
    found, times, sizes = report.agreement, report.milliseconds, report.bytes
    skipped = f", {report.skipped:,} files left out" if report.skipped else ""
    rows = [
        ("same best class", f"{found.top_1:.1%} (at least {report.min_agreement:.1%} asked)"),
        ("of the five best", f"{found.overlap:.1%} kept"),
        ("largest difference", f"{found.largest_difference:.3f} of a probability"),
        ("one image", f"{times.before:.1f} ms before, {times.after:.1f} ms after"),
        ("size", f"{_mebibytes(sizes.before)} before, {_mebibytes(sizes.after)} after"),
    ]
    if (right := report.accuracy) is not None:
        known = f"on {right.images:,} images whose class is known"
        rows.append(("accuracy", f"{right.before:.1%} before, {right.after:.1%} after, {known}"))
    without = ["this CPU has no VNNI, which is what makes int8 quick"]
    return [
        f"{report.images:,} images{skipped}; calibrated with {report.calibrated:,} of them",
        *columns(rows),
        *([] if report.int8_instructions else without),
    ]


def _mebibytes(size: float) -> str:
    return f"{size / _MEBIBYTE:.1f} MiB"
