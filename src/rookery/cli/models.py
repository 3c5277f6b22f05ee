"""`rookery models`: list, pull, import, export, check and quantize models."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rookery.cli.models_check import check
from rookery.cli.models_import import import_command
from rookery.cli.models_list import list_models
from rookery.cli.models_pull import pull
from rookery.cli.models_quantize import quantize

if TYPE_CHECKING:
    from rookery.models.repository import Repository
    from rookery.settings import Settings


@click.group(
    epilog="Models lie in $ROOKERY_HOME/models (.rookery/models), one folder NAME/VERSION each."
)
def command() -> None:
    """List, pull, import, export, check and quantize models."""


command.add_command(import_command)
command.add_command(list_models)
command.add_command(pull)
command.add_command(check)
command.add_command(quantize)


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
