"""`rookery models`: list, pull, import and export models."""

from pathlib import Path

import click


@click.group()
def command() -> None:
    """List, pull, import and export models."""


@command.command()
@click.argument("name")
@click.option(
    "--weights", type=click.Choice(["published", "random"]), default="published", show_default=True
)
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def pull(name: str, weights: str, file: Path | None) -> None:
    """Get the model NAME."""
    from rookery.models.repository import Repository
    from rookery.settings import Settings
    from rookery.zoo.catalog import pull as pull_model

    settings = Settings.read()
    version, made = pull_model(
        name,
        Repository(settings.home / "models"),
        settings.home / "downloads",
        weights=weights,
        file=file,
    )  # type: ignore[arg-type]
    click.echo(
        f"{version.card.name}/{version.card.version} {'is ready' if made else 'was already there'}: {version.directory}"
    )
