"""`rookery models quantize`: a model in int8, published if it answers as it did."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from rookery.cli.models_quantize_report import lines


@click.command(
    epilog="""DIR is read with all folders below it. What is on an image is known from the folder
that it lies in, where that is named like one of the model's labels or its index, or from DIR's
labels.csv with the columns file and label: then the report says the accuracy, too.

\b
Examples:
  rookery models quantize resnet50 --calibration photos/
  rookery models quantize flowers --calibration data/train --subset 500 --images 5000
  ROOKERY_MODEL=resnet50-int8 ROOKERY_BACKEND=openvino rookery serve classify
"""
)
@click.argument("name")
@click.option(
    "--calibration",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Images like those it will be asked about; 300 are plenty.",
)
@click.option("--name", "new_name", help="What the new model is called.  [default: NAME-int8]")
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    default=0.99,
    show_default=True,
    help="Publish nothing unless this share of the images keeps its best class.",
)
@click.option(
    "--subset",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Calibrate with at most so many.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Look at no more than so many, taken evenly from all of DIR.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, one document.")
def quantize(  # noqa: PLR0913, PLR0917 - each is one option
    name: str,
    folder: Path,
    new_name: str | None,
    min_agreement: float,
    subset: int,
    images: int,
    *,
    as_json: bool,
) -> None:
    """Make NAME, or NAME/VERSION, a model in int8 for OpenVINO, which is smaller and quicker.

    The ranges of its activations are found with the images of DIR, and its answers to them are
    compared with those it gave before.
    """
    from rookery.backends.registry import create_backend
    from rookery.models.repository import Repository
    from rookery.preparation import options
    from rookery.quantization.quantize import Wishes
    from rookery.quantization.quantize import quantize as quantize_model
    from rookery.settings import Settings

    settings = Settings.read()
    repository = Repository(settings.home / "models")
    version = repository.find(name)
    wishes = Wishes(
        name=new_name or f"{version.card.name}-int8",
        folder=folder,
        min_agreement=min_agreement,
        subset=subset,
        images=images,
    )
    show = _Steps()
    try:
        made, report = quantize_model(
            version,
            repository,
            create_backend("openvino", options(settings)),
            wishes,
            show.step,
        )
    finally:
        show.end()
    reference = f"{made.card.name}/{made.card.version}"
    if as_json:
        document = {"model": reference, "directory": str(made.directory), **asdict(report)}
        click.echo(json.dumps(document, indent=2))
        return
    for line in lines(report):
        click.echo(line)
    click.echo(f"{reference} is ready: {made.directory}")


class _Steps:
    """Says on stderr how far it is: a line that moves on a terminal, one per step in a file."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._what = ""

    def step(self, what: str, done: int, total: int) -> None:
        """Show that *done* of *total* images are done with *what*."""
        if self._terminal:
            click.echo(f"\r\x1b[K{what}: {done:,} of {total:,} images", err=True, nl=False)
        elif what != self._what:
            click.echo(f"{what}: {total:,} images", err=True)
        self._what = what

    def end(self) -> None:
        """Leave the line free for what is printed next."""
        if self._terminal and self._what:
            click.echo("\r\x1b[K", err=True, nl=False)
