"""Models and speed: every model on every backend, the machine's limit, and the whole path."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import images
import json_tensors
import whole_path
import zoo_trials
from backends import Ratio, Side, compare
from bare import BENCH_HOME
from http_overhead import photograph
from int8 import agreement
from json_tensors import Asked
from peak import sgemm_gflops
from rookery.cpus import has_int8_instructions
from rookery.models.card import ModelCard
from rookery.models.repository import ModelVersion
from table import Row
from whole_path import WholePath
from zoo_trials import Case

DEFAULT = "efficientnet-lite0"
RESNET = "resnet50"
DEFAULT_TARGET = 1.8
RESNET_TARGET = 2.0
INT8_TARGET = 2.5
PATHS = ((RESNET, "openvino"), (RESNET, "tensorflow"), (DEFAULT, "openvino"))
JSON_SIZES = ((500, 375), (2000, 1500))
JSON_ROUNDS = 3


@dataclass
class Measured:
    """All of a run."""

    peak_gflops: float = 0.0
    cases: list[Case] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    paths: list[WholePath] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    decoding: list[Row] = field(default_factory=list)

    def limit_ms(self, card: ModelCard) -> float | None:
        """Return how long *card*'s multiplications and additions take at the machine's peak."""
        return None if card.gflops is None else card.gflops / self.peak_gflops * 1000


# What `run` has measured, for whoever writes it down.
MEASURED = Measured()


def run() -> list[Row]:
    """Measure everything; the machine's peak before and after, and the higher counts."""
    _say("the machine's peak")
    MEASURED.peak_gflops = sgemm_gflops()
    versions = zoo_trials.prepare()
    _say("call by call")
    MEASURED.ratios += _ratios({version.card.name for version in versions})
    for model, backend in PATHS:
        _say(f"the whole path of {model} on {backend}")
        MEASURED.paths.append(whole_path.measure(model, backend))
    _say("pixels as JSON")
    pictures = [photograph(*size) for size in JSON_SIZES]
    MEASURED.asked += json_tensors.ask(RESNET, "openvino", pictures, JSON_ROUNDS)
    _say("decoding")
    MEASURED.decoding += images.run()
    MEASURED.cases += zoo_trials.measure(versions)
    MEASURED.peak_gflops = max(MEASURED.peak_gflops, sgemm_gflops())
    return rows(MEASURED)


def rows(measured: Measured) -> list[Row]:
    """Compare what was measured, and judge what has a target."""
    return [
        *(ratio.row for ratio in measured.ratios),
        *(agreement(version) for version in _quantized(measured)),
        *_others(measured),
        *_limits(measured),
        *(row for path in measured.paths for row in path.rows),
        *(_asked_row(asked) for asked in measured.asked),
        *measured.decoding,
    ]


def _ratios(names: set[str]) -> list[Ratio]:
    found = [
        compare(Side(DEFAULT, "openvino"), Side(DEFAULT, "tensorflow"), DEFAULT_TARGET),
        compare(Side(RESNET, "openvino"), Side(RESNET, "tensorflow"), RESNET_TARGET),
    ]
    # Without these instructions int8 has nothing to be fast with: shown for what it is.
    flags = Path("/proc/cpuinfo").read_text()
    target = INT8_TARGET if has_int8_instructions(flags) else None
    for name, wanted in ((DEFAULT, None), (RESNET, target)):
        if f"{name}-int8" in names:
            sides = Side(f"{name}-int8", "openvino", BENCH_HOME), Side(name, "openvino")
            found.append(compare(*sides, wanted))
    return found


def _quantized(measured: Measured) -> list[ModelVersion]:
    """Return the models in int8 whose answers mean something."""
    versions = {case.card.name: case.version for case in measured.cases}
    return [version for name, version in versions.items() if name == f"{DEFAULT}-int8"]


def _others(measured: Measured) -> list[Row]:
    """Show what else runs ResNet50, beside the two that are judged, each in its own process."""
    alone = {
        case.backend: case.median("median_ms")
        for case in measured.cases
        if case.card.name == RESNET and case.trials
    }
    if not {"openvino", "tensorflow"} <= alone.keys():
        return []
    return [
        Row(
            f"{RESNET} on {backend}, in a process of its own",
            f"{taken:.1f} ms",
            f"openvino {alone['openvino']:.1f} ms, tensorflow {alone['tensorflow']:.1f} ms",
            f"{alone['tensorflow'] / taken:.2f}x tensorflow",
        )
        for backend, taken in alone.items()
        if backend not in {"openvino", "tensorflow"}
    ]


def _limits(measured: Measured) -> list[Row]:
    return [
        Row(
            f"{case.card.name} on openvino, beside the machine's limit",
            f"{case.median('median_ms'):.1f} ms",
            f"{case.card.gflops:.2f} GFLOP at {measured.peak_gflops:.0f} GFLOP/s {limit:.1f} ms",
            f"{limit / case.median('median_ms'):.0%} of the peak",
        )
        for case in measured.cases
        if case.backend == "openvino" and case.card.precision == "fp32" and case.trials
        for limit in [measured.limit_ms(case.card)]
        if limit is not None
    ]


def _asked_row(asked: Asked) -> Row:
    return Row(
        f"{asked.width}x{asked.height} as JSON numbers, {RESNET} on openvino",
        f"{asked.milliseconds:,.0f} ms",
        f"{asked.body_bytes / 1e6:.1f} MB sent, {asked.extra_bytes / 1e6:.0f} MB of memory; "
        f"the same as JPEG {asked.jpeg_ms:.1f} ms",
        f"{asked.milliseconds / asked.jpeg_ms:.0f}x",
    )


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)
