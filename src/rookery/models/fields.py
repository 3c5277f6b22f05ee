"""Reads typed fields out of parsed JSON and collects every problem instead of stopping at one."""

from collections.abc import Mapping
from math import isfinite


class Fields:
    """The fields of one JSON object; what is wrong with them gathers in *problems*."""

    def __init__(self, values: Mapping[str, object], problems: list[str], prefix: str = "") -> None:
        """Read from *values*; name a field in *problems* with *prefix* in front."""
        self._values = values
        self._problems = problems
        self._prefix = prefix

    def problem(self, name: str, message: str) -> None:
        """Note that field *name* cannot be used."""
        self._problems.append(f"{self._prefix}{name} {message}")

    def text(self, name: str) -> str:
        """Return a string that is not empty."""
        value = self._values.get(name)
        if isinstance(value, str) and value:
            return value
        self.problem(name, f"must be a string that is not empty{_found(self._values, name)}")
        return ""

    def absent(self, name: str) -> bool:
        """Whether an optional field is left out, or null."""
        return self._values.get(name) is None

    def choice(self, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        """Return one of *allowed*; *default*, where there is one, when it is left out."""
        value = self._values.get(name, default)
        if isinstance(value, str) and value in allowed:
            return value
        self.problem(name, f"must be one of {', '.join(allowed)}{_found(self._values, name)}")
        return allowed[0]

    def choices(self, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of *allowed*; an empty one when it is left out."""
        value = self._values.get(name, [])
        if isinstance(value, list) and all(item in allowed for item in value):
            return tuple(value)
        self.problem(name, f"must be a list of {', '.join(allowed)}{_found(self._values, name)}")
        return ()

    def positive(self, name: str) -> int:
        """Return an integer of at least 1."""
        value = self._values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return value
        self.problem(name, f"must be an integer of at least 1{_found(self._values, name)}")
        return 1

    def number(self, name: str) -> float:
        """Return a number."""
        number = _number(self._values.get(name))
        if number is not None:
            return number
        self.problem(name, f"must be a number{_found(self._values, name)}")
        return 1.0

    def triple(self, name: str) -> tuple[float, float, float]:
        """Return a list of three numbers as a tuple."""
        value = self._values.get(name)
        if isinstance(value, list):
            numbers = [number for item in value if (number := _number(item)) is not None]
            if len(numbers) == len(value) == 3:  # noqa: PLR2004 - one per color channel
                return numbers[0], numbers[1], numbers[2]
        self.problem(name, f"must be a list of three numbers{_found(self._values, name)}")
        return 1.0, 1.0, 1.0

    def texts(self, name: str) -> dict[str, str]:
        """Return an object whose values are all strings."""
        value = self._values.get(name)
        if isinstance(value, dict):
            found = {str(key): item for key, item in value.items() if isinstance(item, str)}
            if len(found) == len(value):
                return found
        self.problem(name, f"must be an object of strings{_found(self._values, name)}")
        return {}

    def nested(self, name: str) -> "Fields":
        """Return the fields of an inner object."""
        value = self._values.get(name)
        if isinstance(value, dict):
            return Fields(value, self._problems, f"{self._prefix}{name}.")
        self.problem(name, f"must be an object{_found(self._values, name)}")
        # Its fields have nothing more to say.
        return Fields({}, [])


def _number(value: object) -> float | None:
    """Return *value* as a finite float; JSON as Python reads it also has NaN and huge integers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _found(values: Mapping[str, object], name: str) -> str:
    return f", not {values[name]!r}" if name in values else "; it is missing"
