"""`${NAME}` in a text, from the environment: what is secret need not stand in a file."""

import re
from collections.abc import Mapping
from typing import Final

_REFERENCE: Final = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)\}|(\{))")


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Put in what each `${NAME}` stands for; `$$` is a dollar.

    Raises:
        ValueError: a name is not set, or a reference does not end. The text is not repeated.
    """

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        if match[3]:
            raise ValueError("holds a ${ that is no ${NAME}; write $${ for a plain one")
        if not environ.get(match[2]):
            raise ValueError(f"needs the environment variable {match[2]}, which is not set")
        return environ[match[2]]

    return _REFERENCE.sub(value, text)
