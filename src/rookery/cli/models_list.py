"""`rookery models list`: the models that are here, and those that can be."""

import json
from typing import TYPE_CHECKING, Final

import click

from rookery.cli.table import columns
from rookery.errors import ModelInvalid, ModelNotFound

if TYPE_CHECKING:
    from rookery.models.card import ModelCard
    from rookery.models.repository import ModelVersion, Repository
    from rookery.zoo.catalog import ZooModel

_MEBIBYTE: Final = 1024 * 1024
_MILLION: Final = 1_000_000
_UNKNOWN: Final = "-"
_HEADER: Final = (
    *("MODEL", "HERE", "SIZE", "ARCHITECTURE", "PARAMETERS", "GFLOPS", "TOP-1"),
    *("PRECISION", "FORMATS"),
)


@click.command(
    "list",
    epilog="""TOP-1 is the share of ImageNet's validation images that the publisher of these very
weights found to be classified right; GFLOPS are the billions of multiplications and additions that
an image costs.

\b
Examples:
  rookery models list
  rookery models list --json | jq '.models[].name'
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def list_models(*, as_json: bool) -> None:
    """List the models that are here, and those that can be pulled."""
    from rookery.models.repository import Repository
    from rookery.settings import Settings
    from rookery.zoo.catalog import ZOO

    repository = Repository(Settings.read().home / "models")
    present, damaged = _read_all(repository)
    # One of other weights does not count.
    sources = {(version.card.name, version.card.source) for version in present}
    missing = [model for name, model in ZOO.items() if (name, model.card.source) not in sources]
    if as_json:
        document = {
            "models": [_document(version) for version in present],
            "damaged": damaged,
            "available": [_described(model.card) | _offer(model) for model in missing],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    if not present:
        click.echo(f"no models in {repository.root}")
    cards = [version.card for version in present] + [model.card for model in missing]
    rows = [
        *(
            _row(f"{one.card.name}/{one.card.version}", "yes", _mebibytes(one), one.card)
            for one in present
        ),
        *(_row(one.card.name, "no", one.download, one.card) for one in missing),
    ]
    header, *lines = columns([_HEADER, *rows])
    click.secho(header, bold=True)
    for line, card in zip(lines, cards, strict=True):
        click.echo(line)
        click.secho(f"    {card.license}; {card.source}", dim=True)
    for reference, problem in damaged.items():
        click.secho(f"{reference}  damaged: {problem}", fg="red")
    if missing:
        click.echo("\nWhat is not here: rookery models pull MODEL; SIZE is what it downloads.")


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


def _described(card: "ModelCard") -> dict[str, object]:
    from rookery.models.formats import formats

    return {
        "name": card.name,
        "architecture": card.architecture,
        "license": card.license,
        "source": card.source,
        "format": card.format,
        "formats": formats(card),
        "precision": card.precision,
        "classes": card.classes,
        "parameters": card.parameters,
        "gflops": card.gflops,
        "top_1": card.top_1,
    }


def _document(version: "ModelVersion") -> dict[str, object]:
    return _described(version.card) | {
        "version": version.card.version,
        "bytes": _bytes(version),
        "directory": str(version.directory),
    }


def _offer(model: "ZooModel") -> dict[str, object]:
    return {"download": model.download}


def _row(name: str, here: str, size: str, card: "ModelCard") -> tuple[str, ...]:
    from rookery.models.formats import formats

    return (
        name,
        here,
        size,
        card.architecture,
        _UNKNOWN if card.parameters is None else f"{card.parameters / _MILLION:.1f} M",
        _UNKNOWN if card.gflops is None else f"{card.gflops:.2f}",
        _UNKNOWN if card.top_1 is None else f"{card.top_1:.1%}",
        card.precision,
        ", ".join(formats(card)),
    )


def _mebibytes(version: "ModelVersion") -> str:
    return f"{_bytes(version) / _MEBIBYTE:.1f} MiB"


def _bytes(version: "ModelVersion") -> int:
    return sum(path.stat().st_size for path in version.directory.rglob("*") if path.is_file())
