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
    "--images-at-most",
    "at_most",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Look at no more than so many, taken evenly from all of them.",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="BACKEND",
    help="This one, which must then run, beside the most trusted other; again for those alone.",
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
def check(  # noqa: PLR0913, PLR0917 - each is one option
    context: click.Context,
    name: str | None,
    paths: tuple[Path, ...],
    at_most: int,
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
    # All of them first: nothing else is worth saying where there is none.
    opened = [_open(repository, one) for one in ((name,) if name else _newest(repository))]
    found = _images(paths, at_most)
    checked = []
    for version in opened:
        if isinstance(version, Checked):
            one = version
        else:
            one = _check(version, settings.home, found, backends, options(settings), calls)
        checked.append(one)
        if not as_json:
            show(one)
    if as_json:
        click.echo(json.dumps([document(one) for one in checked], indent=2))
    if any(one.problems for one in checked):
        context.exit(1)


def _newest(repository: "Repository") -> tuple[str, ...]:
    """Return the names of the models that are here; NAME alone is the newest version."""
    from rookery.errors import ModelNotFound

    names = tuple(dict.fromkeys(one.partition("/")[0] for one in repository.references()))
    if not names:
        raise ModelNotFound(
            f"there are no models in {repository.root}; `rookery models list` says which there "
            "can be, and rookery models pull NAME gets one"
        )
    return names


def _open(repository: "Repository", reference: str) -> "ModelVersion | Checked":
    """Return the version that *reference* names, or what is wrong with its card."""
    from rookery.errors import ModelInvalid

    try:
        return repository.find(reference)
    except ModelInvalid as exc:
        return Checked(reference, "unknown", (), (str(exc),))


def _images(paths: Sequence[Path], at_most: int) -> tuple[Path, ...]:
    """Return files of *paths*; without any, of the functions here, if there are some."""
    from rookery.errors import ImageUndecodable
    from rookery.images.files import evenly, find_images

    if paths:
        found = find_images(paths)
        if not found:
            raise ImageUndecodable(f"no images are in {', '.join(map(str, paths))}")
        if len(found) > at_most:
            click.echo(f"images: {at_most:,} of {len(found):,}, taken evenly", err=True)
        return evenly(found, at_most)
    folders = sorted(Path("functions").glob("*/data"))
    found = evenly(find_images(folders), at_most)
    where = ", ".join(map(str, folders)) if found else "our own sample; better give --images"
    click.echo(f"images: {len(found) or 1}, {where}", err=True)
    return found


def _check(  # noqa: PLR0913, PLR0917 - each is one part of the question
    version: "ModelVersion",
    home: Path,
    images: Sequence[Path],
    named: Sequence[str],
    wanted: "Options",
    calls: int,
) -> Checked:
    from rookery.backends.comparison import TRUSTED, run_trials
    from rookery.errors import ModelInvalid
    from rookery.models.integrity import verify

    card = version.card
    full = f"{card.name}/{card.version}"
    try:
        verify(version.directory, card)
        note = _note(version)
    except ModelInvalid as exc:
        return Checked(full, card.precision, (), (str(exc),))
    if card.format == "fixed":
        return Checked(full, card.precision, (), (), "it computes nothing that could differ")

    def begin(backend: str) -> None:
        click.echo(f"{full} on {backend}", err=True)

    rows = run_trials(
        version,
        named or TRUSTED,
        _batch(images, card),
        wanted,
        calls=calls,
        interpreters=_interpreters(home),
        begin=begin,
        references=[backend for backend in TRUSTED if named and backend not in named],
    )
    problems = tuple(_problems(rows, card, named))
    return Checked(full, card.precision, rows, problems, note)


def _interpreters(home: Path) -> dict[str, Path]:
    """Return the interpreters of backends in an environment of their own, where they are here."""
    from rookery.backends.itex import find_interpreter

    python = find_interpreter(home)
    return {} if python is None else {"itex": python.absolute()}


def _batch(images: Sequence[Path], card: "ModelCard") -> "NDArray[np.float32]":
    """Return *images*, or our own sample, as the model wants them: (images, height, width, 3)."""
    import numpy as np

    from rookery.errors import ImageUndecodable
    from rookery.images.decode import decode
    from rookery.images.files import read_if_usable
    from rookery.images.limits import ImageLimits
    from rookery.images.normalize import normalize
    from rookery.images.sample import sample_jpeg

    limits = ImageLimits()
    if not images:
        return normalize(decode(sample_jpeg(), card.input, limits).pixels, card.input)[np.newaxis]
    read = (read_if_usable(image, card.input, limits) for image in images)
    usable = [instance for instance in read if instance is not None]
    if not usable:
        raise ImageUndecodable(f"none of the {len(images):,} images can be used")
    return np.stack(usable)


def _note(version: "ModelVersion") -> str:
    """Say how a model in int8 compares with what it was made from."""
    from rookery.quantization.report import REPORT_FILE, summary

    return summary(version.directory) if (version.directory / REPORT_FILE).is_file() else ""


def _problems(rows: "Sequence[Row]", card: "ModelCard", named: Sequence[str]) -> Iterator[str]:
    from rookery.backends.comparison import agrees

    for row in rows:
        if row.failure is not None:
            yield f"{row.backend}: {row.failure}"
        elif row.absent is not None and row.backend in named:
            yield f"{row.backend}: {row.absent}"
        elif row.agreement is not None and not agrees(row.agreement, card):
            yield f"{row.backend} does not answer as the reference does"
    if all(row.trial is None for row in rows):
        yield "no backend can run it"
