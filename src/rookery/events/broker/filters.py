"""Knative Trigger filters: parsed once to frozen values, evaluated on context attributes.

The dialects are those of the CloudEvents Subscriptions API that Knative Eventing takes:
`exact`, `prefix`, `suffix`, `all`, `any`, `not`, and the older `filter.attributes`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from rookery.events.broker.document import Section, kind

_ATTRIBUTE: Final = re.compile(r"[a-z][a-z0-9]*")
# Knative's attributes filter takes these as set, if only to "", on every event.
_ALWAYS_SET: Final = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype"}
)


class Filter(Protocol):
    """Decides by context attributes alone whether an event goes to a trigger."""

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Whether an event with *attributes* passes."""
        ...

    def document(self) -> dict[str, object]:
        """Return the filter in the words of a Trigger's YAML."""
        ...


@dataclass(frozen=True, slots=True)
class Exact:
    """The attribute has exactly this value."""

    attribute: str
    value: str

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Whether an event with *attributes* passes."""
        return attributes.get(self.attribute) == self.value

    def document(self) -> dict[str, object]:
        """Return the filter in the words of a Trigger's YAML."""
        return {"exact": {self.attribute: self.value}}


@dataclass(frozen=True, slots=True)
class Prefix:
    """The attribute is set and begins with this value."""

    attribute: str
    value: str

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Whether an event with *attributes* passes."""
        return attributes.get(self.attribute, "").startswith(self.value)

    def document(self) -> dict[str, object]:
        """Return the filter in the words of a Trigger's YAML."""
        return {"prefix": {self.attribute: self.value}}


@dataclass(frozen=True, slots=True)
class Suffix:
    """The attribute is set and ends with this value."""

    attribute: str
    value: str

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Whether an event with *attributes* passes."""
        return attributes.get(self.attribute, "").endswith(self.value)

    def document(self) -> dict[str, object]:
        """Return the filter in the words of a Trigger's YAML."""
        return {"suffix": {self.attribute: self.value}}


@dataclass(frozen=True, slots=True)
class Present:
    """The attribute is set, to whatever value."""

    attribute: str

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Whether an event with *attributes* passes."""
        return self.attribute in attributes

    def document(self) -> dict[str, object]:
        """Return the filter in the words of a Trigger's YAML."""
        return {"exact": {self.attribute: ""}}


@dataclass(frozen=True, slots=True)
class All:
    """Every one of the filters passes; none at all passes everything."""

    filters: tuple[Filter, ...]

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Whether an event with *attributes* passes."""
        return all(each.matches(attributes) for each in self.filters)

    def document(self) -> dict[str, object]:
        """Return the filter in the words of a Trigger's YAML."""
        return {"all": [each.document() for each in self.filters]}


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the filters passes."""

    filters: tuple[Filter, ...]

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Whether an event with *attributes* passes."""
        return any(each.matches(attributes) for each in self.filters)

    def document(self) -> dict[str, object]:
        """Return the filter in the words of a Trigger's YAML."""
        return {"any": [each.document() for each in self.filters]}


@dataclass(frozen=True, slots=True)
class Not:
    """The filter does not pass."""

    filter: Filter

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Whether an event with *attributes* passes."""
        return not self.filter.matches(attributes)

    def document(self) -> dict[str, object]:
        """Return the filter in the words of a Trigger's YAML."""
        return {"not": self.filter.document()}


EVERYTHING: Final = All(())


def parse_spec(spec: Section) -> Filter:
    """Read the filter of a Trigger's *spec*: `filters` where there are any, else `filter`.

    Problems are collected in the section; what has problems reads as EVERYTHING.
    """
    if spec.fields.get("filters"):
        return All(_parse_list(spec.fields["filters"], spec.at("filters"), spec.problems))
    return _parse_attributes(spec.section("filter").section("attributes"))


def _parse_attributes(attributes: Section) -> Filter:
    filters: list[Filter] = []
    for name, value in _pairs(attributes):
        if value:
            filters.append(Exact(name, value))
        elif name not in _ALWAYS_SET:  # "" stands for any value
            filters.append(Present(name))
    return _simplest(All, filters)


def _parse_list(value: object, path: str, problems: list[str]) -> tuple[Filter, ...]:
    if not isinstance(value, list) or not value:
        problems.append(f"{path} must be a list of at least one filter, not {kind(value)}")
        return ()
    return tuple(
        _parse_filter(Section.of(each, f"{path}[{index}]", problems))
        for index, each in enumerate(value)
    )


def _parse_filter(section: Section) -> Filter:
    if not section.fields:
        section.problems.append(f"{section.path} must have one of {', '.join(_DIALECTS)}")
        return EVERYTHING
    filters = [_parse_dialect(section, str(name)) for name in section.fields]
    if len(filters) > 1:
        names = ", ".join(str(name) for name in section.fields)
        section.problems.append(
            f"{section.path} must have exactly one dialect, it has {names}; "
            "list them as separate filters"
        )
    return filters[0]


def _parse_dialect(section: Section, name: str) -> Filter:
    if name == "cesql":
        section.problem(name, "is not supported here; say it with any, all, not, prefix, suffix")
        return EVERYTHING
    if name not in _DIALECTS:
        section.problem(name, f"is no filter dialect; use one of {', '.join(_DIALECTS)}")
        return EVERYTHING
    return _DIALECTS[name](section, name)


def _parse_comparison(
    comparison: Callable[[str, str], Filter],
) -> Callable[[Section, str], Filter]:
    def parse(section: Section, name: str) -> Filter:
        filters: list[Filter] = []
        for attribute, value in _pairs(section.section(name)):
            if value:
                filters.append(comparison(attribute, value))
            else:
                section.section(name).problem(attribute, "must not be empty")
        if not filters:
            section.problem(name, "must name an attribute and a value")
        return _simplest(All, filters)

    return parse


def _parse_all(section: Section, name: str) -> Filter:
    return All(_parse_list(section.fields[name], section.at(name), section.problems))


def _parse_any(section: Section, name: str) -> Filter:
    return AnyOf(_parse_list(section.fields[name], section.at(name), section.problems))


def _parse_not(section: Section, name: str) -> Filter:
    return Not(_parse_filter(Section.of(section.fields[name], section.at(name), section.problems)))


def _pairs(section: Section) -> list[tuple[str, str]]:
    pairs = []
    for name, value in section.fields.items():
        if not isinstance(name, str) or not _ATTRIBUTE.fullmatch(name):
            section.problem(str(name), "is no attribute name: a-z first, then a-z and 0-9")
        elif not isinstance(value, str):
            section.problem(name, f"must be a text, not {kind(value)}; put it in quotes")
        else:
            pairs.append((name, value))
    return pairs


def _simplest(combine: Callable[[tuple[Filter, ...]], Filter], filters: list[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else combine(tuple(filters))


_DIALECTS: Final[Mapping[str, Callable[[Section, str], Filter]]] = {
    "exact": _parse_comparison(Exact),
    "prefix": _parse_comparison(Prefix),
    "suffix": _parse_comparison(Suffix),
    "all": _parse_all,
    "any": _parse_any,
    "not": _parse_not,
}
