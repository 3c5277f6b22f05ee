"""`rookery models pull`: a model of the zoo, made ready to serve."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rookery.zoo.download import Progress

_MEBIBYTE: Final = 1024 * 1024


@click.command(
    epilog="""A file of weights is what the network's publisher made: HDF5 (.h5) for the networks of
Keras, a .caffemodel or .h5 for googlenet, and for inception-v1 TF-Slim's checkpoint (.tar.gz, .ckpt
or .ckpt.index) or frozen graph (.pb). A whole model of your own comes in with: rookery models
import.

\b
Examples:
  rookery models pull efficientnet-lite0            needs no network
  rookery models pull resnet50                      downloads 98 MiB, resumes, verifies
  rookery models pull resnet50 --file weights.h5    takes a file you have
  rookery models pull inception-v1 --file inception_v1_2016_08_28.tar.gz
"""
)
@click.argument("name")
@click.option(
    "--weights",
    type=click.Choice(["published", "random"]),
    default="published",
    show_default=True,
    help="Random weights are for tests of speed and plumbing.",
)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the weights from this file instead of downloading them.",
)
def pull(name: str, weights: Literal["published", "random"], file: Path | None) -> None:
    """Make the published model NAME ready to serve; does nothing when it is there already."""
    from rookery.models.repository import Repository
    from rookery.settings import Settings
    from rookery.zoo.pulled import pull as pull_model

    if file is not None and weights == "random":
        raise click.UsageError("--file brings weights: leave out --weights random")
    settings = Settings.read()
    with _progress(name) as progress:
        version, made = pull_model(
            name,
            Repository(settings.home / "models"),
            settings.home / "downloads",
            weights=weights,
            file=file,
            progress=progress,
        )
    what = "is ready" if made else "is already there"
    click.echo(f"{version.card.name}/{version.card.version} {what}: {version.directory}")


@contextmanager
def _progress(name: str) -> "Iterator[Progress]":
    """Yield a callback that draws a line on a terminal, and nothing in a log file."""
    from rookery.zoo.download import silent

    if not sys.stderr.isatty():
        yield silent
        return

    def draw(line: str) -> None:
        click.echo(f"\r\x1b[K{line}", err=True, nl=False)

    def show(done: int, total: int | None) -> None:
        if done == total:
            draw(making)
            return
        of = f" of {total / _MEBIBYTE:.0f} MiB ({done / total:.0%})" if total else " MiB"
        draw(f"downloading {name}: {done / _MEBIBYTE:.0f}{of}")

    making = f"making {name}: this takes half a minute"
    draw(making)
    try:
        yield show
    finally:
        draw("")
