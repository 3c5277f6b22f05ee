"""Writes what `coldstart` measured into docs/snapshots.md, and draws where the time goes."""

from pathlib import Path
from statistics import median

from matplotlib.axes import Axes

from coldstart import BACKENDS, ROUNDS, ROUNDS_WITHOUT_CACHE, Case, Measured, rows
from report import circumstances, draw, judged, write_section
from table import markdown

DOCUMENT = Path("docs/snapshots.md")
PICTURE = Path("docs/coldstart.svg")

# In order, and without the checks, which run while CRIU restores.
STEPS = ("Python starts", "manifest", "CRIU", "told", "hooks", "settings, port", "first request")

_LEGEND = (
    "*Python starts* is the launcher's interpreter, from the execution to its first own line; "
    "*CRIU* includes the checks, which run beside it; *told* is the message with the environment, "
    "and the first page faults; what the *first request* takes longer than a second one is page "
    "faults and cold caches of the CPU."
)


def steps(case: Case) -> dict[str, float]:
    """Return where the milliseconds of a woken case go, as medians."""
    return {name: median(_steps(case, turn)[name] for turn in range(ROUNDS)) for name in STEPS}


def _steps(case: Case, turn: int) -> dict[str, float]:
    start = case.starts[turn]
    said = start.steps
    awake = said["read"] + said["restored"] + said["told"] + said["listening"]
    return {
        "Python starts": max(start.bound * 1000 - awake, 0),
        "manifest": said["read"],
        "CRIU": said["restored"],
        "told": said["told"],
        "hooks": said["took"],
        "settings, port": max(said["listening"] - said["took"], 0),
        "first request": (start.answered - start.bound) * 1000,
    }


def write(measured: Measured) -> None:
    """Replace what stands between the markers of the document, and draw the picture."""
    write_section(DOCUMENT, "coldstart", _text(measured))
    draw(PICTURE, (9, 3.2), lambda axes: _fill(axes, measured))


def _text(measured: Measured) -> str:
    woken = [case for case in measured.cases if case.snapshot is not None]
    heads = ["", *(case.name.removesuffix(", woken") for case in woken)]
    spent = {case.name: steps(case) for case in woken}
    lines = [[name, *(f"{spent[case.name][name]:.0f} ms" for case in woken)] for name in STEPS]
    lines += [
        ["**first answer**", *(f"**{case.seconds * 1000:.0f} ms**" for case in woken)],
        ["a second request", *(f"{case.median('again') * 1000:.0f} ms" for case in woken)],
        ["pages given to the clone", *(f"{case.median('faults'):,.0f}" for case in woken)],
    ]
    everything = [
        [
            case.name,
            f"{case.seconds * 1000:,.0f} ms",
            _without_cache(case),
            f"{case.median('rss') / 1e6:.0f} MB",
            f"{case.median('pss') / 1e6:.0f} MB",
        ]
        for case in measured.cases
    ]
    said = (
        f"{circumstances('coldstart')} From the execution of `rookery serve classify` "
        "to the last byte of the first answer, which is the same to the digit for every start. "
        f"Medians of {ROUNDS} starts of each, taken in turns, the page cache warm; beside "
        f"them medians of {ROUNDS_WITHOUT_CACHE} after `echo 3 > /proc/sys/vm/drop_caches`. "
        "Memory is that of all processes of a start, the launcher's included."
    )
    return "\n".join(
        (
            "## How fast it is",
            "",
            said,
            "",
            markdown(["", "first answer", "page cache empty", "RSS", "PSS"], everything),
            "",
            judged(rows(measured)),
            "",
            "Where the time goes, from the line that every clone logs and from outside:",
            "",
            f"![Where the time of a start goes]({PICTURE.name})",
            "",
            markdown(heads, lines),
            "",
            _LEGEND,
        )
    )


def _without_cache(case: Case) -> str:
    if not case.starts_without_cache:
        return "not measured"
    return f"{median(one.answered for one in case.starts_without_cache) * 1000:,.0f} ms"


def _fill(axes: Axes, measured: Measured) -> None:
    cases = [
        measured.of(model, backend, woken=True)
        for model in ("efficientnet-lite0", "resnet50")
        for backend in reversed(BACKENDS)
    ]
    names = []
    for row, case in enumerate(cases):
        booted = measured.of(case.model, case.backend, woken=False)
        names.append(f"{case.model}\n{BACKENDS[case.backend]}")
        left = 0.0
        for color, (name, width) in enumerate(steps(case).items()):
            label = name if row == 0 else None
            axes.barh(row, width, left=left, color=f"C{color}", label=label)
            left += width
        said = f"  {case.seconds * 1000:.0f} ms; booted: {booted.seconds:.1f} s"
        axes.text(left, row, said, va="center")
    axes.set_yticks(range(len(cases)), names)
    axes.set_xlabel("milliseconds from the execution of the command")
    axes.margins(x=0.28)
    axes.legend(ncols=len(STEPS), loc="lower center", bbox_to_anchor=(0.45, 1), fontsize="small")
