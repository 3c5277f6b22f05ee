"""Writes what `models` measured into docs/performance.md, and draws it."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes

from backends import ROUNDS as TURNS
from json_tensors import Asked
from models import RESNET, Measured, rows
from report import circumstances, draw, judged, write_section
from table import markdown
from whole_path import LARGE, SMALL
from zoo_trials import BATCH, CALLS, ROUNDS, Case

DOCUMENT = Path("docs/performance.md")
SPEED = Path("docs/models-speed.svg")
START = Path("docs/models-start.svg")
PATH = Path("docs/models-path.svg")

_STARTING = {"import": "import_ms", "load": "load_ms", "first prediction": "first_ms"}
_BAR = 0.8  # of the room for a model
_ROOM = 1.25  # of the longest bar that is shown whole

_LEGEND = (
    "- *batch 1* is the median time of one image, *batch 8* that of eight together, per image; "
    "*import*, *load* and *first* are what a new process takes before it has answered once, with "
    "no cache of compiled models; *memory* is that of the process at the end.\n"
    "- *the machine's limit* is how long the network's multiplications and additions would take at "
    "the highest rate that numpy's `sgemm` reaches here. Winograd's convolutions need fewer, so "
    "a network of 3x3 convolutions may come close to it, or below; networks of depthwise "
    "convolutions are bound by memory and stay far above.\n"
    f"- The ratios above compare call by call, {TURNS} of each in turns, in one process.\n"
    "- *bare* is the backend called in the benchmark's own process on the same pixels, in turns "
    "with the request. *libjpeg-turbo at 1/8* decodes the same file and does nothing else.\n"
    "- *as JSON numbers* is the old way: the client decodes, sends every pixel as a number in "
    "JSON, and a server in a process of its own reads them, resizes and infers; beside it, the "
    "same photograph is sent to a function as a JPEG. One of "
    f"{LARGE[0]}x{LARGE[1]} is not sent that way here: {{extrapolated}}\n"
    "- *to 224x224* is decoding and resizing on one core, beside Pillow's plain path and what "
    "other libraries take for the same.\n"
    "- *same best class as fp32* is of a few photographs, their mirror images and parts of them, "
    "many of nothing that the model knows; `rookery models quantize` judges by yours.\n"
    "- Weights do not change the speed: what would have to be downloaded has random ones."
)


def write(measured: Measured) -> None:
    """Replace what stands between the markers of the document, and draw the pictures."""
    write_section(DOCUMENT, "models", _text(measured))
    models = len({case.card.name for case in measured.cases})
    height = 1.0 + 0.75 * models
    draw(SPEED, (9, height), lambda axes: _speed(axes, measured))
    draw(START, (9, height), lambda axes: _start(axes, measured))
    draw(PATH, (9, 3.0), lambda axes: _path(axes, measured))


def _text(measured: Measured) -> str:
    said = (
        f"{circumstances('models')} Everything is measured in one run; a model on a backend has "
        f"processes of its own, {ROUNDS} of them, in turns with all the others; medians of "
        f"{CALLS} calls each. The highest rate of single-precision `sgemm` is "
        f"{measured.peak_gflops:.0f} GFLOP/s."
    )
    return "\n".join(
        (
            "## Models",
            "",
            said,
            "",
            judged(rows(measured)),
            "",
            f"![Milliseconds per image, by model and backend]({SPEED.name})",
            "",
            _table(measured),
            "",
            *_left_out(measured.cases),
            f"![From a new process to its first prediction]({START.name})",
            "",
            f"![From an encoded photograph to the answer]({PATH.name})",
            "",
            _LEGEND.format(extrapolated=_extrapolated(measured.asked)),
        )
    )


def _table(measured: Measured) -> str:
    head = ["model", "backend", "batch 1", f"batch {BATCH}", "import", "load", "first", "memory"]
    return markdown(head, [_line(case, measured) for case in measured.cases if case.trials])


def _line(case: Case, measured: Measured) -> list[str]:
    limit = measured.limit_ms(case.card) if case.card.precision == "fp32" else None
    alone = case.median("median_ms")
    return [
        case.card.name,
        case.backend,
        f"{alone:.1f} ms" + (f" ({limit / alone:.0%} of the peak)" if limit else ""),
        "not measured" if case.batch is None else f"{case.batch.median_ms / BATCH:.1f} ms",
        *(f"{case.median(of):,.0f} ms" for of in _STARTING.values()),
        f"{case.median('resident_bytes') / 1e6:.0f} MB",
    ]


def _left_out(cases: list[Case]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for case in cases:
        if case.problem:
            first = case.problem.partition("\n")[0].replace(f"{Path.cwd()}/", "")
            reasons.setdefault(f"{case.backend}: {first}", []).append(case.card.name)
    if not reasons:
        return []
    return [
        "Left out:",
        "",
        *(f"- {reason}: {', '.join(names)}" for reason, names in reasons.items()),
        "",
    ]


def _extrapolated(asked: list[Asked]) -> str:
    largest = max(asked, key=lambda one: one.width * one.height)
    times = LARGE[0] * LARGE[1] / (largest.width * largest.height)
    return (
        f"at the rate of {largest.width}x{largest.height} it would be "
        f"{largest.milliseconds * times / 1000:.0f} s, {largest.body_bytes * times / 1e6:.0f} MB "
        f"of JSON and {largest.extra_bytes * times / 1e9:.1f} GB of memory in the server."
    )


def _speed(axes: Axes, measured: Measured) -> None:
    _bars(axes, measured.cases, lambda case: {"": case.median("median_ms")})
    for row, card in enumerate({case.card.name: case.card for case in measured.cases}.values()):
        limit = measured.limit_ms(card)
        if limit is not None and card.precision == "fp32":
            label = None if row else "the machine's limit"
            edges = (row - _BAR / 2, row + _BAR / 2)
            axes.plot([limit, limit], edges, color="black", linewidth=1, label=label)
    axes.set_xlabel("milliseconds for one image, batch 1")
    _legend(axes)


def _start(axes: Axes, measured: Measured) -> None:
    _bars(
        axes,
        measured.cases,
        lambda case: {name: case.median(of) for name, of in _STARTING.items()},
    )
    axes.set_xlabel("milliseconds in a new process: import, load, first prediction, ever lighter")
    _legend(axes)


def _bars(axes: Axes, cases: list[Case], parts: Callable[[Case], dict[str, float]]) -> None:
    """Draw a group of bars per model, one per backend, each made of the *parts* of its case."""
    models = list(dict.fromkeys(case.card.name for case in cases))
    backends = list(dict.fromkeys(case.backend for case in cases if case.trials))
    thickness = _BAR / len(backends)
    labeled = set()
    for case in cases:
        if not case.trials:
            continue
        color = backends.index(case.backend)
        middle = (color - (len(backends) - 1) / 2) * thickness
        place = models.index(case.card.name) + middle
        left, alpha = 0.0, 1.0
        for width in parts(case).values():
            label = None if case.backend in labeled else case.backend
            labeled.add(case.backend)
            axes.barh(
                place, width, thickness, left=left, color=f"C{color}", alpha=alpha, label=label
            )
            left += width
            alpha *= 0.6
        axes.text(left, place, f" {left:,.0f}" if left >= 100 else f" {left:.1f}", va="center",
                  fontsize="x-small")  # fmt: skip
    axes.set_yticks(range(len(models)), models)
    axes.invert_yaxis()


def _path(axes: Axes, measured: Measured) -> None:
    bars: list[tuple[str, dict[str, float]]] = []
    for path in measured.paths:
        if path.model != RESNET:
            continue
        for size, medians in ((SMALL, path.small), (LARGE, path.large)):
            rest = max(medians.http - medians.bare - medians.decode, 0)
            parts = {"backend": medians.bare, "decoding": medians.decode, "everything else": rest}
            bars.append((f"{size[0]}x{size[1]} JPEG, {path.backend}", parts))
    for asked in measured.asked:
        name = f"{asked.width}x{asked.height} as JSON numbers, openvino"
        bars.append((name, {"all": asked.milliseconds}))
    colors = {"backend": "C0", "decoding": "C1", "everything else": "C2", "all": "C3"}
    # Pixels as JSON take so long that beside them nothing else would be seen: they are cut off.
    edge = _ROOM * max(sum(parts.values()) for _, parts in bars if "all" not in parts)
    labeled = {"all"}
    for place, (_, parts) in enumerate(bars):
        left = 0.0
        for name, width in parts.items():
            label = None if name in labeled else name
            labeled.add(name)
            axes.barh(place, width, left=left, color=colors[name], label=label)
            left += width
        if left < edge:
            axes.text(left, place, f"  {left:,.0f} ms", va="center")
        else:
            axes.text(edge, place, f"{left:,.0f} ms  →  ", va="center", ha="right", color="white")
    axes.set_xlim(0, edge)
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.invert_yaxis()
    axes.set_xlabel(f"milliseconds from the file to the answer, {RESNET}")
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Name the colors above the axes, where no bar is."""
    count = len(axes.get_legend_handles_labels()[1])
    axes.legend(ncols=count, loc="lower center", bbox_to_anchor=(0.45, 1), fontsize="small")
