"""`rookery models`: list, pull, import and export models."""

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from rookery.errors import ModelInvalid, ModelNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rookery.models.repository import ModelVersion, Repository
    from rookery.settings import Settings
    from rookery.zoo.download import Progress

_MEBIBYTE: Final = 1024 * 1024


@click.group(
    epilog="Models lie in $ROOKERY_HOME/models (.rookery/models), one folder NAME/VERSION each."
)
def command() -> None:
    """List, pull, import and export models."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def list_models(*, as_json: bool) -> None:
    """List the models that are here, and those that can be pulled."""
    from rookery.zoo.catalog import ZOO

    repository = _repository(_settings())
    present, damaged = _read_all(repository)
    sources = {(version.card.name, version.card.source) for version in present}
    missing = [model for name, model in ZOO.items() if (name, model.card.source) not in sources]
    if as_json:
        document = {
            "models": [_row(version) for version in present],
            "damaged": damaged,
            "available": [
                {"name": model.card.name, "architecture": model.card.architecture}
                | {"license": model.card.license, "download": model.download}
                for model in missing
            ],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    if not present:
        click.echo(f"no models in {repository.root}")
    for version in present:
        row = _row(version)
        click.secho(f"{row['name']}/{row['version']}", bold=True, nl=False)
        click.echo(f"  {row['architecture']}  {_size(version):.1f} MiB  {row['license']}", nl=False)
        click.echo(f"  {row['format']}\n    {row['source']}")
    for reference, problem in damaged.items():
        click.secho(f"{reference}  damaged: {problem}", fg="red")
    if missing:
        click.echo("\navailable to pull:")
        for model in missing:
            click.secho(f"  {model.card.name}", bold=True, nl=False)
            click.echo(f"  {model.card.architecture}; downloads {model.download}")


@command.command(
    epilog="""\b
Examples:
  rookery models pull efficientnet-lite0            needs no network
  rookery models pull resnet50                      downloads 98 MiB, resumes, verifies
  rookery models pull resnet50 --file weights.h5    takes a file you have
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
    from rookery.zoo.catalog import pull as pull_model

    settings = _settings()
    with _progress(f"downloading {name}") as progress:
        version, made = pull_model(
            name,
            _repository(settings),
            settings.home / "downloads",
            weights=weights,
            file=file,
            progress=progress,
        )
    _announce(version, "is ready" if made else "is already there")


@command.command(
    "import",
    epilog="""Keras models usually scale pixels themselves; give --mean and --scale when yours
does not: a pixel p becomes (p - mean) / scale.

\b
Examples:
  rookery models import ./export --name flowers --labels flowers.txt
  rookery models import cats.keras --name cats --mean 127.5 127.5 127.5 --scale 127.5 127.5 127.5
""",
)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", required=True, help="The model's name here: lowercase, no spaces.")
@click.option("--labels", help="A file with one class per line, or `imagenet`.")
@click.option("--size", metavar="WIDTHxHEIGHT", help="Input size, where the model leaves it open.")
@click.option(
    "--resize",
    type=click.Choice(["squash", "center-crop"]),
    default="squash",
    show_default=True,
    help="How a picture of another shape becomes the input.",
)
@click.option("--crop-fraction", type=float, default=1.0, help="For center-crop: how much to keep.")
@click.option(
    "--interpolation",
    type=click.Choice(["nearest", "bilinear", "bicubic", "lanczos"]),
    default="bicubic",
    show_default=True,
    help="The resampling filter.",
)
@click.option("--color-order", type=click.Choice(["RGB", "BGR"]), default="RGB", show_default=True)
@click.option(
    "--mean", type=float, nargs=3, default=(0.0, 0.0, 0.0), help="Subtracted per channel."
)
@click.option(
    "--scale", type=float, nargs=3, default=(1.0, 1.0, 1.0), help="Divides it after that."
)
@click.option("--signature", default="serving_default", show_default=True)
@click.option("--output", help="The output with the class scores, when there are several.")
@click.option(
    "--activation",
    type=click.Choice(["probabilities", "logits"]),
    help="What the scores are; found out by default.",
)
@click.option("--license", "license_", default="NOASSERTION", help="SPDX expression.")
def import_command(  # noqa: PLR0913, PLR0917 - each is one option
    path: Path,
    name: str,
    labels: str | None,
    size: str | None,
    resize: Literal["squash", "center-crop"],
    crop_fraction: float,
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"],
    color_order: Literal["RGB", "BGR"],
    mean: tuple[float, float, float],
    scale: tuple[float, float, float],
    signature: str,
    output: str | None,
    activation: Literal["probabilities", "logits"] | None,
    license_: str,
) -> None:
    """Take in your own classifier: a SavedModel folder or a .keras file at PATH."""
    from rookery.images.preprocessing import Preprocessing
    from rookery.zoo.imported import Import, import_model

    choices = Import(
        name=name,
        labels=_labels(labels),
        size=_parse_size(size),
        preprocessing=Preprocessing(
            height=1,
            width=1,
            resize=resize,
            crop_fraction=crop_fraction,
            interpolation=interpolation,
            color_order=color_order,
            mean=mean,
            scale=scale,
        ),
        signature=signature,
        output=output,
        activation=activation,
        license=license_,
    )
    _announce(import_model(path, _repository(_settings()), choices), "is ready")


@command.command(
    epilog="""\b
Example:
  rookery models export efficientnet-lite0 ./model
"""
)
@click.argument("name")
@click.argument("destination", type=click.Path(path_type=Path))
def export(name: str, destination: Path) -> None:
    """Copy NAME, or NAME/VERSION, into the folder DESTINATION and check the copy."""
    from rookery.models.copying import export_version

    version = _repository(_settings()).find(name)
    export_version(version, destination)
    click.echo(f"{version.card.name}/{version.card.version} is in {destination}")


def _settings() -> "Settings":
    from rookery.settings import Settings

    return Settings.read()


def _repository(settings: "Settings") -> "Repository":
    from rookery.models.repository import Repository

    return Repository(settings.home / "models")


def _read_all(repository: "Repository") -> "tuple[list[ModelVersion], dict[str, str]]":
    """Return the versions that can be read, and what is wrong with those that cannot."""
    present: list[ModelVersion] = []
    damaged: dict[str, str] = {}
    for reference in repository.references():
        try:
            present.append(repository.find(reference))
        except (ModelInvalid, ModelNotFound) as exc:
            damaged[reference] = str(exc)
    return present, damaged


def _row(version: "ModelVersion") -> dict[str, object]:
    card = version.card
    return {
        "name": card.name,
        "version": card.version,
        "architecture": card.architecture,
        "license": card.license,
        "source": card.source,
        "format": card.format,
        "classes": card.classes,
        "bytes": round(_size(version) * _MEBIBYTE),
        "directory": str(version.directory),
    }


def _size(version: "ModelVersion") -> float:
    files = (path for path in version.directory.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) / _MEBIBYTE


def _announce(version: "ModelVersion", what: str) -> None:
    click.echo(f"{version.card.name}/{version.card.version} {what}: {version.directory}")


@contextmanager
def _progress(label: str) -> "Iterator[Progress]":
    """Yield a callback that draws a line on a terminal, and nothing in a log file."""
    from rookery.zoo.download import silent

    if not sys.stderr.isatty():
        yield silent
        return

    def show(done: int, total: int | None) -> None:
        of = f" of {total / _MEBIBYTE:.0f} MiB ({done / total:.0%})" if total else " MiB"
        click.echo(f"\r\x1b[K{label}: {done / _MEBIBYTE:.0f}{of}", err=True, nl=False)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)


def _labels(choice: str | None) -> tuple[str, ...] | None:
    if choice is None:
        return None
    if choice == "imagenet":
        from rookery.zoo.imagenet import imagenet_labels

        return imagenet_labels()
    from rookery.models.labels import read_label_file

    return read_label_file(Path(choice))


def _parse_size(size: str | None) -> tuple[int, int] | None:
    """Return (height, width) of WIDTHxHEIGHT."""
    if size is None:
        return None
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise click.BadParameter(f"{size!r} is no size; write WIDTHxHEIGHT, such as 224x224")
    return int(height), int(width)
