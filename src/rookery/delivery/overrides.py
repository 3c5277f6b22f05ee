"""K_CE_OVERRIDES: the extensions a SinkBinding wants on every event."""

import json
import re
from collections.abc import Mapping
from typing import Final

from rookery.errors import SettingsInvalid
from rookery.events.attributes import OPTIONAL, REQUIRED

_NAME: Final = re.compile(r"[a-z0-9]+")
_CORE: Final = frozenset((*REQUIRED, *OPTIONAL, "data", "specversion"))


def parse_overrides(text: str) -> Mapping[str, str]:
    """Read `{"extensions": {name: value}}`; an empty string means none.

    Raises:
        SettingsInvalid: with every problem.
    """
    if not text.strip():
        return {}
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise SettingsInvalid([f"K_CE_OVERRIDES is not JSON: {exc}"]) from exc
    if isinstance(document, dict) and document.get("extensions") is None:
        return {}
    extensions = document["extensions"] if isinstance(document, dict) else None
    if not isinstance(extensions, dict):
        raise SettingsInvalid(['K_CE_OVERRIDES must look like {"extensions": {"name": "value"}}'])
    problems = [
        f"K_CE_OVERRIDES: {problem}"
        for name, value in extensions.items()
        if (problem := _problem(name, value))
    ]
    if problems:
        raise SettingsInvalid(problems)
    return extensions


def _problem(name: str, value: object) -> str | None:
    if not _NAME.fullmatch(name):
        return f"{name!r} is no extension name: only a-z and 0-9 are allowed"
    if name in _CORE:
        return f"{name!r} is a core attribute; only extensions can be set"
    if not isinstance(value, str):
        # Not shown: it may be a secret between two of the operator's own services.
        return f"the value of {name!r} must be a string, not {type(value).__name__}"
    return None
