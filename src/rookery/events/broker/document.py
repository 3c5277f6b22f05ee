"""One mapping of a YAML document, read field by field; what is wrong with it is collected."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

_MISSING: Final = object()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping at *path*; every problem found in it is appended to *problems*."""

    fields: Mapping[object, object]
    path: str
    problems: list[str]

    @classmethod
    def of(cls, value: object, path: str, problems: list[str]) -> "Section":
        """Read *value* as a mapping; anything else is a problem and reads as empty."""
        if isinstance(value, Mapping):
            return cls(value, path, problems)
        problems.append(f"{path} must be a mapping, not {kind(value)}")
        return cls({}, path, problems)

    def section(self, name: str) -> "Section":
        """Read the mapping *name*; absent reads as empty."""
        value = self.fields.get(name)
        return Section.of({} if value is None else value, self.at(name), self.problems)

    def text(self, name: str, default: str | None = None) -> str | None:
        """Read the text *name*, which must not be empty."""
        value = self.fields.get(name, _MISSING)
        if value is _MISSING or value is None:
            return default
        if isinstance(value, str) and value:
            return value
        self.problem(name, f"must be a text that is not empty, not {kind(value)}")
        return default

    def required(self, name: str) -> str:
        """Read the text *name*; absent is a problem and reads as empty."""
        if self.fields.get(name) is None:
            self.problem(name, "is missing")
        return self.text(name) or ""

    def number(self, name: str, default: int, *, lowest: int, highest: int) -> int:
        """Read the whole number *name*; a text of digits counts, as annotations are texts."""
        value = self.fields.get(name)
        if value is None:
            return default
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        self.problem(name, f"must be a whole number from {lowest} to {highest}, not {value!r}")
        return default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Read *name*, one of *allowed*."""
        value = self.fields.get(name, default)
        if isinstance(value, str) and value in allowed:
            return value
        self.problem(name, f"must be one of {', '.join(allowed)}, not {value!r}")
        return default

    def parsed(self, name: str, default: T, parse: Callable[[str], T]) -> T:
        """Read the text *name* through *parse*, whose ValueError is the problem."""
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as exc:
            self.problem(name, str(exc))
            return default

    def problem(self, name: str, what: str) -> None:
        """Note that *name* is wrong."""
        self.problems.append(f"{self.at(name)} {what}")

    def at(self, name: str) -> str:
        """Return the path of *name*."""
        return f"{self.path}{' ' if self.path.endswith(':') else '.'}{name}"


def kind(value: object) -> str:
    """Name the kind of *value* as YAML's users do."""
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"{value!r}"
