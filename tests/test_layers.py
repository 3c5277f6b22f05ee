"""The dependency rule holds only for modules that import-linter knows the place of."""

import pkgutil
import tomllib
from pathlib import Path

import rookery

CONTRACTS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["tool"][
    "importlinter"
]["contracts"]
LAYERS = [one.strip() for layer in CONTRACTS[0]["layers"] for one in layer.split("|")]
MODULES = list(pkgutil.walk_packages(rookery.__path__, "rookery."))


def within(module, packages):
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def test_every_module_has_its_place_in_the_layers():
    # A package that is spread over layers says nothing itself but what it is for.
    spread = {one.rpartition(".")[0] for one in LAYERS}
    lost = [one.name for one in MODULES if not within(one.name, LAYERS) and one.name not in spread]
    assert lost == []
