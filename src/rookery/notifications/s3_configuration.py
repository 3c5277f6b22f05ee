"""Notifications as S3's API has them, and back; Ceph and AWS agree on all but the names' case."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from rookery.notifications.notification import Filter, Notification, Target

if TYPE_CHECKING:
    from rookery.notifications.notification import TargetKind


class Rule(TypedDict):
    """One rule of a filter."""

    Name: str
    Value: str


class Rules(TypedDict):
    """The rules of one kind."""

    FilterRules: Sequence[Rule]


class Filters(TypedDict, total=False):
    """The rules of every kind; Ceph alone has the last two."""

    Key: Rules
    Metadata: Rules
    Tags: Rules


class Entry(TypedDict):
    """One configuration; which ARN it has depends on the list it is in."""

    Id: NotRequired[str]
    Events: Sequence[str]
    Filter: NotRequired[Filters]
    TopicArn: NotRequired[str]
    QueueArn: NotRequired[str]
    LambdaFunctionArn: NotRequired[str]


class Configuration(TypedDict, total=False):
    """All configurations of one bucket."""

    TopicConfigurations: list[Entry]
    QueueConfigurations: list[Entry]
    LambdaFunctionConfigurations: list[Entry]
    EventBridgeConfiguration: dict[str, str]


_EVENTBRIDGE: Final = Target("eventbridge", "eventbridge")


def read_configuration(bucket: str, found: Configuration) -> Iterator[Notification]:
    """Return what *bucket* has."""
    lists: tuple[tuple[TargetKind, Sequence[Entry]], ...] = (
        ("topic", found.get("TopicConfigurations", [])),
        ("queue", found.get("QueueConfigurations", [])),
        ("function", found.get("LambdaFunctionConfigurations", [])),
    )
    for kind, entries in lists:
        for entry in entries:
            yield Notification(
                bucket,
                entry.get("Id", ""),
                Target(kind, _arn(entry)),
                tuple(sorted(entry["Events"])),
                _read_filter(entry.get("Filter", {})),
            )
    if "EventBridgeConfiguration" in found:
        yield Notification(bucket, "eventbridge", _EVENTBRIDGE, ("s3:*",))


def write_entry(one: Notification, arn: str) -> Entry:
    """Return *one* for the list of its kind."""
    entry: Entry = {"Id": one.id, "Events": list(one.events)}
    if one.target.kind == "topic":
        entry["TopicArn"] = arn
    else:
        entry["QueueArn"] = arn
    if filters := _write_filter(one.filter):
        entry["Filter"] = filters
    return entry


def _arn(entry: Entry) -> str:
    return entry.get("TopicArn") or entry.get("QueueArn") or entry.get("LambdaFunctionArn") or ""


def _read_filter(filters: Filters) -> Filter:
    # AWS answers `Prefix` for the `prefix` it was given.
    keys = {name.lower(): value for name, value in _pairs(filters.get("Key"))}
    return Filter(
        prefix=keys.get("prefix") or None,
        suffix=keys.get("suffix") or None,
        regex=keys.get("regex") or None,
        metadata=tuple(sorted(_pairs(filters.get("Metadata")))),
        tags=tuple(sorted(_pairs(filters.get("Tags")))),
    )


def _write_filter(found: Filter) -> Filters:
    keys = {"prefix": found.prefix, "suffix": found.suffix, "regex": found.regex}
    filters: Filters = {}
    if rules := [Rule(Name=name, Value=value) for name, value in keys.items() if value]:
        filters["Key"] = {"FilterRules": rules}
    if found.metadata:
        filters["Metadata"] = _rules(found.metadata)
    if found.tags:
        filters["Tags"] = _rules(found.tags)
    return filters


def _rules(pairs: Sequence[tuple[str, str]]) -> Rules:
    return {"FilterRules": [Rule(Name=name, Value=value) for name, value in pairs]}


def _pairs(rules: Rules | None) -> Iterator[tuple[str, str]]:
    if rules is not None:
        for rule in rules["FilterRules"]:
            yield rule["Name"], rule["Value"]
