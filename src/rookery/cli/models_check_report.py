"""What `rookery models check` found, as a table and as JSON."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import click

from rookery.cli.table import columns

if TYPE_CHECKING:
    from rookery.backends.comparison import Row
    from rookery.models.agreement import Agreement

_MEBIBYTE: Final = 1024 * 1024
_HEADINGS: Final = (
    "backend", "import ms", "load ms", "first ms", "median ms", "MiB", "top 1", "top 5",
    "difference", "",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """One model on all backends: what they did, or why it could not be looked at."""

    reference: str
    precision: str
    rows: "tuple[Row, ...]"
    problems: tuple[str, ...]
    note: str = ""


def show(checked: Checked) -> None:
    """Print *checked* as a table."""
    click.secho(f"{checked.reference}", bold=True, nl=False)
    click.echo(f"  {checked.precision}" + (f"  {checked.note}" if checked.note else ""))
    ran = [_cells(row) for row in checked.rows if row.trial is not None]
    if ran:
        for line in columns([_HEADINGS, *ran]):
            click.echo(f"  {line}")
    for row in checked.rows:
        if row.absent is not None:
            click.echo(f"  {row.backend} did not run: {row.absent}")
    for problem in checked.problems:
        click.secho(f"  {problem}", fg="red")
    click.echo()


def _cells(row: "Row") -> tuple[str, ...]:
    if row.trial is None:
        raise ValueError(f"{row.backend} has not run")
    trial = row.trial
    times = (trial.import_ms, trial.load_ms, trial.first_ms)
    return (
        row.backend,
        *(f"{time:.0f}" for time in times),
        f"{trial.median_ms:.1f}",
        f"{trial.resident_bytes / _MEBIBYTE:.0f}",
        *_agreement(row.agreement),
    )


def _agreement(found: "Agreement | None") -> tuple[str, ...]:
    if found is None:
        return ("-", "-", "-", "nothing to compare with")
    return (
        f"{found.top_1:.0%}",
        f"{found.top_5:.0%}",
        f"{found.largest_difference:.1e}",
        f"of {found.images} images",
    )


def document(checked: Checked) -> dict[str, object]:
    """Return *checked* as it is printed with --json."""
    return {
        "model": checked.reference,
        "precision": checked.precision,
        "problems": checked.problems,
        "note": checked.note,
        "backends": [
            {"backend": row.backend, "absent": row.absent, "failure": row.failure}
            | (
                {}
                if row.trial is None
                else {
                    "import_ms": round(row.trial.import_ms, 1),
                    "load_ms": round(row.trial.load_ms, 1),
                    "first_ms": round(row.trial.first_ms, 1),
                    "median_ms": round(row.trial.median_ms, 2),
                    "resident_bytes": row.trial.resident_bytes,
                    "agreement": row.agreement and asdict(row.agreement),
                }
            )
            for row in checked.rows
        ],
    }
