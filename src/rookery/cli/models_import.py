"""`rookery models import`: a classifier of the user's own, in the format that it has."""

import sys
from pathlib import Path
from typing import Literal

import click


@click.command(
    "import",
    epilog="""Keras models usually scale pixels themselves; give --mean and --scale when yours
does not: a pixel p becomes (p - mean) / scale.

\b
Examples:
  rookery models import ./export --name flowers --labels flowers.txt
  rookery models import cats.keras --name cats --mean 127.5 127.5 127.5 --scale 127.5 127.5 127.5
  rookery models import net.onnx --name cats --labels imagenet --color-order BGR
  rookery models import inception.pb --name googlenet-2014 --size 224x224 --output softmax2
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
@click.option("--signature", help="The signature of a SavedModel, when several take images.")
@click.option("--input", "input_", help="The tensor of a frozen graph that takes the images.")
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
    signature: str | None,
    input_: str | None,
    output: str | None,
    activation: Literal["probabilities", "logits"] | None,
    license_: str,
) -> None:
    """Take in your own classifier at PATH.

    PATH is a SavedModel folder, a .keras or .h5 file, a frozen graph (.pb), an .onnx file, or
    OpenVINO's .xml with its .bin. It is run once before it becomes the next version of NAME.
    """
    from rookery.images.preprocessing import Preprocessing
    from rookery.models.repository import Repository
    from rookery.settings import Settings
    from rookery.zoo.imported import Import, import_model, silent
    from rookery.zoo.sources.source import Choices

    wanted = Import(
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
        choices=Choices(signature, input_, output),
        activation=activation,
        license=license_,
    )
    repository = Repository(Settings.read().home / "models")
    version = import_model(path, repository, wanted, _say if sys.stderr.isatty() else silent)
    click.echo(f"{version.card.name}/{version.card.version} is ready: {version.directory}")


def _say(step: str) -> None:
    click.echo(f"{step} …", err=True)


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
