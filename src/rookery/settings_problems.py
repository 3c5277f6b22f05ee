"""What is wrong with settings, in words that reveal no secret."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import ValidationError

from rookery.errors import SettingsInvalid

_SHOWN: Final = 100


@contextmanager
def listed() -> Iterator[None]:
    """Let pydantic list what a part of ours finds wrong, beside the name of the variable."""
    try:
        yield
    except SettingsInvalid as exc:
        said = (problem.rpartition("K_CE_OVERRIDES: ")[2] for problem in exc.problems)
        raise ValueError("; ".join(said).lstrip(": ")) from None


def problems_of(exc: ValidationError, *, secret: Collection[str]) -> list[tuple[str, str]]:
    """Return every problem: its variable, and what to say, without the values of *secret* ones.

    A value is shown otherwise, but for what may hold a secret all the same: a URL with a password,
    the query of a URL.
    """
    return [
        (str(error["loc"][0]), _words(".".join(map(str, error["loc"])), error["msg"],
                                      None if error["loc"][0] in secret else repr(error["input"])))
        for error in exc.errors(include_url=False, include_context=False)
    ]  # fmt: skip


def _words(name: str, message: str, value: str | None) -> str:
    if value is None or "@" in value:
        return f"{name}: {message}"
    if "://" in value:
        value = value.partition("?")[0]
    return f"{name}: {message} (it is {value if len(value) <= _SHOWN else value[:_SHOWN] + '…'})"
