"""A deployable on disk: a folder with a func.yaml, as `kn func` reads it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from rookery.errors import FunctionInvalid

_NAME: Final = re.compile(r"[a-z][a-z0-9]*")
# libyaml's, where PyYAML was built with it: ten times as fast, which a woken snapshot notices.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FROM_ENVIRONMENT: Final = re.compile(r"\{\{\s*env:(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class EventSubscription:
    """One entry of `deploy.subscriptions`: a broker, and the attributes an event must have."""

    source: str
    filters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FunctionFolder:
    """What a func.yaml says that running the function on this machine needs.

    Attributes:
        name: one lowercase word: folder, Python module, image and Kubernetes name at once.
        path: the folder.
        envs: `run.envs` with plain values and `{{ env:NAME }}` resolved; references to Secrets
            and ConfigMaps exist only on a cluster and are left out.
        subscriptions: `deploy.subscriptions`.
    """

    name: str
    path: Path
    envs: Mapping[str, str] = field(default_factory=dict)
    subscriptions: tuple[EventSubscription, ...] = ()

    @property
    def target(self) -> Path:
        """The Python file that defines the function, named after it."""
        return self.path / f"{self.name}.py"


def find_function(name: str, root: Path, environ: Mapping[str, str]) -> FunctionFolder:
    """Read the function *name* below *root*, or the folder that *name* is a path to.

    Raises:
        FunctionInvalid: there is none, or its func.yaml cannot be used.
    """
    folder = Path(name) if "/" in name else root / name
    if not (folder / "func.yaml").is_file():
        known = ", ".join(found.name for found in find_functions(root, environ)) or "none"
        raise FunctionInvalid(
            f"there is no function {name!r}: {folder / 'func.yaml'} does not exist; "
            f"functions in {root}/: {known}"
        )
    return _read(folder, environ)


def find_functions(root: Path, environ: Mapping[str, str]) -> tuple[FunctionFolder, ...]:
    """Read every function folder directly below *root*, by name.

    Raises:
        FunctionInvalid: a func.yaml cannot be used.
    """
    return tuple(_read(file.parent, environ) for file in sorted(root.glob("*/func.yaml")))


def _read(folder: Path, environ: Mapping[str, str]) -> FunctionFolder:
    file = folder / "func.yaml"
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
    except (OSError, ValueError, yaml.YAMLError) as exc:  # ValueError: 2026-13-01 is no date
        raise FunctionInvalid(f"{file} cannot be read: {exc}") from exc
    if not isinstance(document, dict):
        raise FunctionInvalid(f"{file} is not a mapping")
    name = document.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FunctionInvalid(f"{file}: name must be one lowercase word, it is {name!r}")
    run, deploy = _mapping(document, "run", file), _mapping(document, "deploy", file)
    function = FunctionFolder(
        name=name,
        path=folder,
        envs=dict(_envs(_items(run, "envs", file), environ)),
        subscriptions=tuple(
            EventSubscription(
                source=str(item.get("source", "default")),
                filters={str(k): str(v) for k, v in _mapping(item, "filters", file).items()},
            )
            for item in _items(deploy, "subscriptions", file)
        ),
    )
    if not function.target.is_file():
        raise FunctionInvalid(
            f"{file} names the function {name!r}, but {function.target} does not exist"
        )
    return function


def _envs(items: list[Mapping[str, object]], environ: Mapping[str, str]) -> list[tuple[str, str]]:
    resolved = []
    for item in items:
        name, value = _text(item.get("name")), _text(item.get("value"))
        reference = _FROM_ENVIRONMENT.fullmatch(value.strip())
        if reference:
            value = environ.get(reference[1], "")
        elif "{{" in value:
            continue
        if name:
            resolved.append((name, value))
    return resolved


def _text(value: object) -> str:
    """Write a YAML scalar as an environment holds it; kn func leaves out what is null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _mapping(parent: Mapping[str, object], name: str, file: Path) -> Mapping[str, object]:
    value = parent.get(name) or {}
    if not isinstance(value, dict):
        raise FunctionInvalid(f"{file}: {name} must be a mapping, it is {value!r}")
    return value


def _items(parent: Mapping[str, object], name: str, file: Path) -> list[Mapping[str, object]]:
    value = parent.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise FunctionInvalid(f"{file}: {name} must be a list of mappings, it is {value!r}")
    return value
