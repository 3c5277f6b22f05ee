"""From the execution of a command to its first correct answer: booted, and woken from a snapshot.

Everything of one model is measured in turns, so that all of it sees the same machine.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from http_overhead import photograph
from rookery.errors import RookeryError
from rookery.snapshots import criu
from rookery.snapshots.stopwatch import Start, time_start, time_starts
from table import Row

ROUNDS = 10
ROUNDS_WITHOUT_CACHE = 3
BACKENDS = {"tensorflow": "TensorFlow", "openvino": "OpenVINO"}
PROGRAM = str(Path(sys.executable).with_name("rookery"))
_UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass
class Case:
    """One way to start one model on one backend, and how its starts went."""

    model: str
    backend: str
    snapshot: Path | None
    starts: list[Start] = field(default_factory=list)
    starts_without_cache: list[Start] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it is, for a table."""
        return f"{self.model}, {BACKENDS[self.backend]}, {'woken' if self.snapshot else 'booted'}"

    @property
    def command(self) -> tuple[str, ...]:
        """The command that is measured."""
        snapshot = ("--snapshot", str(self.snapshot)) if self.snapshot else ()
        choice = (f"--model={self.model}", f"--backend={self.backend}")
        return (PROGRAM, "serve", "classify", "--host=127.0.0.1", "--port=0", *choice, *snapshot)

    def median(self, of: str) -> float:
        """Return the median of a `Start`'s field."""
        return float(median(getattr(start, of) for start in self.starts))

    @property
    def seconds(self) -> float:
        """From the execution to the first answer."""
        return self.median("answered")


@dataclass(frozen=True)
class Pair:
    """Two clones of one snapshot at the same time."""

    case: Case
    pss: int


@dataclass
class Measured:
    """All of a run."""

    cases: list[Case] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    def of(self, model: str, backend: str, *, woken: bool) -> Case:
        """Return one case."""
        wanted = (model, backend, woken)
        (found,) = (
            case
            for case in self.cases
            if (case.model, case.backend, case.snapshot is not None) == wanted
        )
        return found


# What `run` has measured, for whoever writes it down.
MEASURED = Measured()


def run() -> list[Row]:
    """Measure ResNet50, whose random weights cost what real ones do, and the default model."""
    if (reason := _unusable()) is not None:
        print(f"bench: no snapshots can be made here: {reason}", file=sys.stderr)
        return []
    pull = (PROGRAM, "models", "pull", "resnet50", "--weights=random")
    subprocess.run(pull, check=True, stdout=subprocess.DEVNULL)
    for model in ("resnet50", "efficientnet-lite0"):
        _measure(model, MEASURED)
    return rows(MEASURED)


def _unusable() -> str | None:
    if os.geteuid() != 0:
        return "it takes root"
    try:
        criu.find_in(os.environ)
    except RookeryError as exc:
        return str(exc)
    return None


def _measure(model: str, measured: Measured) -> None:
    # As installed: without its compiled files Python would compile ours on every start.
    environ = {name: value for name, value in os.environ.items() if name != _UNCOMPILED}
    environ["S3_ENABLED"] = "false"
    image = photograph()
    with _snapshots(model) as snapshots:
        cases = [
            Case(model, backend, snapshot)
            for snapshot_of in (lambda _: None, snapshots.get)
            for backend in BACKENDS
            for snapshot in [snapshot_of(backend)]
        ]
        measured.cases += cases
        # The first of each is not counted: it fills the page cache.
        for turn in range(ROUNDS + 1):
            _say(f"{model}: round {turn} of {ROUNDS}")
            for case in cases:
                start = time_start(case.command, environ, image)
                if turn:
                    case.starts.append(start)
        for case in cases:
            if case.snapshot is not None:
                both = time_starts([case.command, case.command], environ, image)
                measured.pairs.append(Pair(case, sum(one.pss for one in both)))
        for turn in range(ROUNDS_WITHOUT_CACHE):
            _say(f"{model}: round {turn + 1} of {ROUNDS_WITHOUT_CACHE} without the page cache")
            for case in cases:
                if _drop_caches():
                    case.starts_without_cache.append(time_start(case.command, environ, image))
        _require_same_answers(cases)


def _drop_caches() -> bool:
    os.sync()
    try:
        _DROP_CACHES.write_text("3")
    except OSError as exc:
        _say(f"the page cache cannot be emptied here: {exc}")
        return False
    return True


@contextmanager
def _snapshots(model: str) -> Iterator[dict[str, Path]]:
    """Make a snapshot of *model* on each backend."""
    with TemporaryDirectory(prefix="rookery-bench-") as folder:
        found = {}
        for backend, name in BACKENDS.items():
            found[backend] = Path(folder) / backend
            _say(f"{model}: making a snapshot on {name}")
            subprocess.run(
                (
                    *(PROGRAM, "snapshot", "create", "classify", "-o", str(found[backend])),
                    *(f"--model={model}", f"--backend={backend}"),
                ),
                env={**os.environ, "S3_ENABLED": "false"},
                check=True,
                stdout=subprocess.DEVNULL,
            )
        yield found


def _require_same_answers(cases: list[Case]) -> None:
    """See that every start of a backend has predicted, to the digit, what its first boot did."""
    for backend in BACKENDS:
        answers = {
            json.dumps(json.loads(start.answer)["predictions"])
            for case in cases
            if case.backend == backend
            for start in (*case.starts, *case.starts_without_cache)
        }
        if len(answers) != 1:
            raise SystemExit(f"bench: starts on {backend} have predicted differently: {answers}")


def rows(measured: Measured) -> list[Row]:
    """Compare what was measured, and judge what has a target."""
    found = []
    for model in ("resnet50", "efficientnet-lite0"):
        judged = model == "resnet50"
        tensorflow = measured.of(model, "tensorflow", woken=False)
        openvino = measured.of(model, "openvino", woken=False)
        woken = {name: measured.of(model, name, woken=True) for name in BACKENDS}
        found += [
            _faster(woken["tensorflow"], tensorflow, 15 if judged else None),
            _faster(woken["openvino"], openvino, 4 if judged else None),
            _faster(woken["openvino"], tensorflow, 40 if judged else None),
            _smaller(woken["tensorflow"], tensorflow, judged=judged),
            _smaller(woken["openvino"], openvino, judged=judged),
        ]
    found += [
        Row(
            f"memory (PSS), two of {pair.case.name}",
            f"{pair.pss / 1e6:.0f} MB",
            f"one {pair.case.median('pss') / 1e6:.0f} MB",
            f"{pair.pss / pair.case.median('pss'):.2f}x",
        )
        for pair in measured.pairs
    ]
    return found


def _faster(woken: Case, booted: Case, times: int | None) -> Row:
    ratio = booted.seconds / woken.seconds
    return Row(
        f"first answer, {woken.name}",
        f"{woken.seconds * 1000:.0f} ms",
        f"{BACKENDS[booted.backend]} booted {booted.seconds * 1000:,.0f} ms",
        f"1/{ratio:.1f}",
        f"<= 1/{times}" if times else "",
        ratio >= times if times else None,
    )


def _smaller(woken: Case, booted: Case, *, judged: bool) -> Row:
    ratio = woken.median("rss") / booted.median("rss")
    return Row(
        f"memory (RSS), {woken.name}",
        f"{woken.median('rss') / 1e6:.0f} MB (PSS {woken.median('pss') / 1e6:.0f})",
        f"booted {booted.median('rss') / 1e6:.0f} MB (PSS {booted.median('pss') / 1e6:.0f})",
        f"{ratio:.2f}x",
        "<= 1x" if judged else "",
        ratio <= 1 if judged else None,
    )


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)
