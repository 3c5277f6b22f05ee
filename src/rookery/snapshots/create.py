"""Makes a snapshot: a donor is run to its snapshot point, dumped, laid out, searched and described.

All of it happens in a hidden folder beside the wanted one, which gets its name at the very end.
"""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final

from rookery.errors import SnapshotFailed, SnapshotInvalid, SnapshotUnsafe
from rookery.snapshots import criu, images, kernel, manifest, privileges
from rookery.snapshots.donor import Donor, run_donor
from rookery.snapshots.facts import facts
from rookery.snapshots.incoming import incoming
from rookery.snapshots.layout import Layout, lay_out
from rookery.snapshots.leaks import in_aws_files, leaked

_CRIU_IMAGE: Final = "inventory.img"
_LOG: Final = "dump.log"
_LEAKED: Final = (
    "the value of {}, in its memory: have nothing read it before the snapshot; where it is a word "
    "that is there by chance, choose another, or unset it while the snapshot is made"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make a snapshot of.

    Attributes:
        function: the function's name.
        folder: its folder.
        command: what starts the donor.
        environ: the donor's whole environment.
        frozen: what is fixed from then on: settings, model, function.
        secrets: the values, by name, that must not be in the snapshot.
        program: CRIU.
    """

    function: str
    folder: Path
    command: Sequence[str]
    environ: Mapping[str, str]
    frozen: Mapping[str, str]
    secrets: Mapping[str, str]
    program: str


@dataclass(frozen=True, slots=True)
class Made:
    """What was made, and how long it took.

    Attributes:
        layout: what a clone maps, and what is copied into it.
        warm_seconds: until the donor waited.
        dump_seconds: CRIU's dump.
    """

    layout: Layout
    warm_seconds: float
    dump_seconds: float


def create(plan: Plan, directory: Path, *, on_line: Callable[[str], None]) -> Made:
    """Make the snapshot *plan* describes in *directory*, which is replaced if it holds one.

    Raises:
        SnapshotInvalid: the directory exists and holds something else.
        SnapshotFailed: the donor, CRIU or the disk failed. Nothing is left behind.
        SnapshotUnsafe: a secret was found in the memory of the donor. Nothing is left behind.
    """
    require_replaceable(directory)
    try:
        with incoming(directory) as fresh:
            started = perf_counter()
            with run_donor(plan.command, plan.environ, on_line) as donor:
                waited = perf_counter()
                _dump(plan.program, donor.process, fresh)
            dumped = perf_counter()
            # While the pages still lie as they did in memory: a secret may lie across two of them.
            if found := leaked(fresh, {**in_aws_files(plan.environ), **plan.secrets}):
                raise SnapshotUnsafe([_LEAKED.format(name) for name in found])
            elsewhere = images.read(fresh).mapped
            layout = lay_out(str(fresh))
            kernel.learn(plan.program, str(fresh))
            for path in fresh.iterdir():
                path.chmod(0o600)
            made = Made(layout, waited - started, dumped - waited)
            manifest.write(str(fresh), _describe(plan, fresh, donor, made, elsewhere))
    except OSError as exc:
        raise SnapshotFailed(f"the snapshot cannot be written to {directory}: {exc}") from exc
    return made


def require_replaceable(directory: Path) -> None:
    """See whether a snapshot may be put at *directory*: nothing is there, or an older snapshot.

    Raises:
        SnapshotInvalid: something else is there.
    """
    if not directory.exists() or _holds_a_snapshot_or_nothing(directory):
        return
    raise SnapshotInvalid(
        f"{directory} exists and is no snapshot; name a folder that does not exist, or an older "
        "snapshot to replace"
    )


def _holds_a_snapshot_or_nothing(directory: Path) -> bool:
    """Whether nothing is lost with *directory*; other programs have a `manifest.json`, too."""
    if not directory.is_dir():
        return False
    entries = [*os.scandir(directory)]
    if not all(entry.is_file(follow_symlinks=False) for entry in entries):
        return False
    names = {entry.name for entry in entries}
    if not names:
        return True
    # A damaged one may be replaced as well.
    return manifest.NAME in names and (_CRIU_IMAGE in names or manifest.is_ours(str(directory)))


def _dump(program: str, process: int, directory: Path) -> None:
    limited = privileges.limited(privileges.of("self"))
    # Files are born private: they hold a whole process.
    try:
        done = subprocess.run(  # noqa: S603
            criu.dump_command(program, process, str(directory), limited=limited),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            umask=0o077,
            check=False,
        )
    except OSError as exc:
        raise SnapshotFailed(f"{program} cannot be run: {exc.strerror}") from exc
    log = directory / _LOG
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    if done.returncode != 0:
        said = criu.first_error([*done.stderr.splitlines(), *lines])
        raise SnapshotFailed(
            f"CRIU cannot dump the function: {said}; `rookery snapshot check` says what is missing"
        )
    log.unlink(missing_ok=True)


def _describe(
    plan: Plan, directory: Path, donor: Donor, made: Made, elsewhere: Sequence[str]
) -> manifest.Manifest:
    return manifest.Manifest(
        function=plan.function,
        folder=os.fspath(plan.folder),
        made=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        facts=facts(plan.program),
        frozen=plan.frozen,
        pipes=donor.pipes,
        capabilities=donor.capabilities,
        sizes={
            "mapped": made.layout.mapped,
            "copied": made.layout.copied,
            "areas": made.layout.areas,
        },
        files=manifest.sums(str(directory), elsewhere),
    )
