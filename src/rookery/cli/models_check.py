"""`rookery models check`: every backend that is here, side by side on real images."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rookery.cli.models_check_report import Checked, document, show

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rookery.backends.comparison import Row
    from rookery.backends.options import Options
    from rookery.models.card import ModelCard
    from rookery.models.repository import ModelVersion, Repository


@click.command(
    epilog="""Each backend runs in a process of its own. The answers are compared with those of the
first that runs of tensorflow, tensorflow-frozen, openvino and opencv. In fp32 the five best classes
must be the same, in the same order, and probabilities within 0.0001; in int8 the best class.

\b
Examples:
  rookery models check                              every model that is here
  rookery models check resnet50 --images photos/
  rookery models check flowers --backend openvino --backend tensorflow
"""
)
@click.argument("name", required=False)
@click.option(
    "--images",
    "paths",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="An image, or a folder of them; again for more.  [default: functions/*/data]",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="BACKEND",
    help="Only this one, which must then run; again for more.",
)
@click.option(
    "--calls",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="How many calls the median is of.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
@click.pass_context
def check(  # noqa: PLR0913 - each is one option
    context: click.Context,
    name: str | None,
    paths: tuple[Path, ...],
    backends: tuple[str, ...],
    calls: int,
    *,
    as_json: bool,
) -> None:
    """Compare the backends on NAME, NAME/VERSION, or on the newest version of every model.

    The exit code is 0 if all that can run a model agree.
    """
    from rookery.models.repository import Repository
    from rookery.preparation import options
    from rookery.settings import Settings

    settings = Settings.read()
    repository = Repository(settings.home / "models")
    references = (name,) if name else _newest(repository)
    found = _images(paths)
    checked = []
    for reference in references:
        wanted = backends or _computing()
        one = _check(repository, reference, found, wanted, options(settings), calls, bool(backends))
        checked.append(one)
        if not as_json:
            show(one)
    if as_json:
        click.echo(json.dumps([document(one) for one in checked], indent=2))
    if not checked:
        click.echo(f"no models in {repository.root}", err=True)
    if any(one.problems for one in checked):
        context.exit(1)


def _newest(repository: "Repository") -> tuple[str, ...]:
    """Return the names of the models that are here; NAME alone is the newest version."""
    return tuple(dict.fromkeys(one.partition("/")[0] for one in repository.references()))


def _computing() -> tuple[str, ...]:
    from rookery.backends.comparison import TRUSTED

    return TRUSTED


def _images(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of *paths*; without any, those of the functions here, if there are some."""
    from rookery.errors import ImageUndecodable
    from rookery.images.files import find_images

    if paths:
        found = find_images(paths)
        if not found:
            raise ImageUndecodable(f"no images are in {', '.join(map(str, paths))}")
        return found
    folders = sorted(Path("functions").glob("*/data"))
    found = find_images(folders)
    where = ", ".join(map(str, folders)) if found else "our own sample; better give --images"
    click.echo(f"images: {len(found) or 1}, {where}", err=True)
    return found


def _check(  # noqa: PLR0913, PLR0917 - each is one part of the question
    repository: "Repository",
    reference: str,
    images: Sequence[Path],
    backends: Sequence[str],
    wanted: "Options",
    calls: int,
    all_must_run: bool,  # noqa: FBT001
) -> Checked:
    from rookery.backends.comparison import run_trials
    from rookery.errors import ModelInvalid
    from rookery.models.integrity import verify

    try:
        version = repository.find(reference)
        verify(version.directory, version.card)
        note = _note(version)
    except ModelInvalid as exc:
        return Checked(reference, "unknown", (), (str(exc),))
    card = version.card
    full = f"{card.name}/{card.version}"
    if card.format == "fixed":
        return Checked(full, card.precision, (), (), "it computes nothing that could differ")

    def begin(backend: str) -> None:
        click.echo(f"{full} on {backend}", err=True)

    rows = run_trials(
        version,
        backends,
        _batch(images, card),
        wanted,
        calls=calls,
        interpreters=_interpreters(repository.root.parent),
        begin=begin,
    )
    problems = tuple(_problems(rows, card, all_must_run))
    return Checked(full, card.precision, rows, problems, note)


def _interpreters(home: Path) -> dict[str, Path]:
    """Return the interpreters of backends in an environment of their own, where they are here."""
    python = home / "itex" / "bin" / "python"  # made by scripts/install-itex
    return {"itex": python.absolute()} if python.exists() else {}


def _batch(images: Sequence[Path], card: "ModelCard") -> "NDArray[np.float32]":
    """Return *images*, or our own sample, as the model wants them: (images, height, width, 3)."""
    import numpy as np

    from rookery.images.decode import decode
    from rookery.images.files import read_instance
    from rookery.images.limits import ImageLimits
    from rookery.images.normalize import normalize
    from rookery.images.sample import sample_jpeg

    limits = ImageLimits()
    if images:
        return np.stack([read_instance(image, card.input, limits) for image in images])
    return normalize(decode(sample_jpeg(), card.input, limits).pixels, card.input)[np.newaxis]


def _note(version: "ModelVersion") -> str:
    """Say how a model in int8 compares with what it was made from."""
    from rookery.quantization.report import REPORT_FILE, summary

    return summary(version.directory) if (version.directory / REPORT_FILE).is_file() else ""


def _problems(
    rows: "Sequence[Row]",
    card: "ModelCard",
    all_must_run: bool,  # noqa: FBT001
) -> Iterator[str]:
    from rookery.backends.comparison import agrees

    for row in rows:
        if row.failure is not None:
            yield f"{row.backend}: {row.failure}"
        elif row.absent is not None and all_must_run:
            yield f"{row.backend}: {row.absent}"
        elif row.agreement is not None and not agrees(row.agreement, card):
            yield f"{row.backend} does not answer as the reference does"
    if all(row.trial is None for row in rows):
        yield "no backend can run it"
