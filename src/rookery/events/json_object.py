"""Reads typed fields out of a parsed JSON object, and says exactly where one is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from rookery.errors import EventInvalid
from rookery.events.attributes import is_timestamp, kind, shown


@dataclass(frozen=True, slots=True)
class JsonObject:
    """One JSON object and its place in the document, such as `record 3: s3.object`.

    The readers take several spellings of one field; the first that is set counts. A field that is
    absent, null or empty is not set.
    """

    values: Mapping[str, object]
    place: str

    @classmethod
    def of(cls, value: object, place: str) -> Self:
        """Take *value* as an object.

        Raises:
            EventInvalid: it is something else.
        """
        if not isinstance(value, dict):
            raise EventInvalid(f"{place} must be an object, not {kind(value)}")
        return cls(value, place)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def field(self, name: str) -> str:
        """Name the place of field *name*."""
        separator = "." if ": " in self.place else ": "
        return f"{self.place}{separator}{name}"

    def nested(self, name: str) -> "JsonObject":
        """Return an inner object; one that is absent or null has no fields."""
        value = self.values.get(name)
        return JsonObject.of({} if value is None else value, self.field(name))

    def text(self, *names: str) -> str | None:
        """Return a string, or None where it is not set.

        Raises:
            EventInvalid: it is something else, or holds a lone surrogate.
        """
        name = self._set(names)
        if name is None:
            return None
        value = self.values[name]
        if not isinstance(value, str):
            raise EventInvalid(f"{self.field(name)} must be a string, not {kind(value)}")
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            raise EventInvalid(f"{self.field(name)} holds a lone surrogate") from exc
        return value

    def required(self, name: str) -> str:
        """Return a string that must be set.

        Raises:
            EventInvalid: it is not, or is something else.
        """
        value = self.text(name)
        if value is None:
            found = "empty" if self.values.get(name) == "" else "missing"
            raise EventInvalid(f"{self.field(name)} is {found}")
        return value

    def size(self, name: str) -> int | None:
        """Return a number of bytes, which some producers write as a string."""
        found = self._set((name,))
        if found is None:
            return None
        value = self.values[found]
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:  # noqa: PLR2004 - 2**63 has 19 digits
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise EventInvalid(f"{self.field(name)} must be a number of bytes, not {shown(value)}")

    def time(self, name: str) -> str | None:
        """Return an RFC 3339 timestamp, or None where it is not set."""
        value = self.text(name)
        if value is None or is_timestamp(value):
            return value
        raise EventInvalid(f"{self.field(name)} must be an RFC 3339 timestamp, not {shown(value)}")

    def _set(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if self.values.get(name) not in (None, "")), None)
