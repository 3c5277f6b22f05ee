"""The file of notifications: YAML in, frozen values out, and every problem at once."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

import yaml

from rookery.errors import NotificationsInvalid
from rookery.events.broker.document import Section, kind
from rookery.notifications.key_regex import regex_problem
from rookery.notifications.notification import Filter, Notification, Target, Topic, Wanted
from rookery.notifications.substitution import substitute
from rookery.notifications.topic_section import TOPIC_FIELDS, read_topic_section

StoreKind = Literal["ceph", "aws"]

_FIELDS: Final = frozenset({"name", "bucket", "events", "filter"})
_FILTER_FIELDS: Final = frozenset({"prefix", "suffix", "regex", "metadata", "tags"})
_CEPH_ONLY: Final = frozenset({"regex", "metadata", "tags"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_EVENT: Final = re.compile(r"s3:[A-Za-z]+:(?:\*|[A-Za-z]+(?::(?:\*|[A-Za-z]+))?)")
_QUEUE_ARN: Final = re.compile(r"arn:[a-z-]+:sqs:[a-z0-9-]+:\d{12}:[\w-]{1,80}")
_QUEUE_URL: Final = re.compile(
    r"https://sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(\d{12})/([\w-]{1,80})"
)
EVENTBRIDGE: Final = "eventbridge"


def read_wanted(text: str, environ: Mapping[str, str]) -> Wanted:
    """Read the notifications that *text* asks for.

    *environ* is what `${NAME}` stands for, in endpoints and opaque data alone.

    Raises:
        NotificationsInvalid: with every problem, and no value that may be secret.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as exc:
        # Its own text quotes the line, where a password may stand.
        line = f", line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        raise NotificationsInvalid([f"not YAML: {exc.problem}{line}"]) from None
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: 2026-13-01 is no date
        raise NotificationsInvalid(["not YAML, or a value in it is none"]) from exc
    problems: list[str] = []
    root = Section.of(document, "the file:", problems)
    _refuse_others(root, frozenset({"notifications"}))
    entries = root.fields.get("notifications")
    if not isinstance(entries, list) or not entries:
        root.problem("notifications", f"must be a list that is not empty, not {kind(entries)}")
        entries = []
    read = []
    for number, entry in enumerate(entries, start=1):
        section = Section.of(entry, f"notification {number}:", problems)
        if section.fields:
            read.append(_read_entry(section, environ))
    notifications = tuple(notification for notification, _ in read)
    problems.extend(_conflicts(notifications))
    topics: dict[str, Topic] = {}
    for notification, topic in read:
        if topic is not None and topics.setdefault(topic.name, topic) != topic:
            problems.append(
                f"notification {notification.id}: says something else of topic {topic.name!r} than "
                "a notification before it; a topic has one endpoint"
            )
    problems.extend(_exchanges(topics.values()))
    if problems:
        raise NotificationsInvalid(problems)
    return Wanted(notifications, tuple(topics.values()))


def store_kind(wanted: Wanted) -> StoreKind:
    """Say what *wanted* can be applied to."""
    return "ceph" if wanted.topics else "aws"


def _read_entry(section: Section, environ: Mapping[str, str]) -> tuple[Notification, Topic | None]:
    kinds = [name for name in ("endpoint", "queue", EVENTBRIDGE) if name in section.fields]
    if len(kinds) != 1:
        section.problems.append(
            f"{section.path} needs exactly one of endpoint (Ceph), queue and eventbridge (AWS); "
            f"it has {' and '.join(kinds) or 'none'}"
        )
    wants = kinds[0] if len(kinds) == 1 else "endpoint"
    bucket = section.required("bucket")
    if bucket and not _BUCKET.fullmatch(bucket):
        section.problem("bucket", f"is no name of a bucket: {bucket!r}")
    if wants == EVENTBRIDGE:
        return _eventbridge(section, bucket), None
    name = _name(section, "name", section.required("name"))
    # From here on the name says more than the entry's number.
    section = Section(
        section.fields, f"notification {name}:" if name else section.path, section.problems
    )
    events, keys = _events(section), _filter(section, ceph=wants == "endpoint")
    if wants == "queue":
        _refuse_others(section, _FIELDS | {"queue"})
        return Notification(bucket, name, _queue(section), events, keys), None
    if len(kinds) != 1:
        _refuse_others(section, _FIELDS | TOPIC_FIELDS | {"queue", EVENTBRIDGE})
        return Notification(bucket, name, Target("topic", name), events, keys), None
    _refuse_others(section, _FIELDS | TOPIC_FIELDS)
    topic_name = _name(section, "topic", section.text("topic") or "") or name
    topic = read_topic_section(section, topic_name, lambda text: substitute(text, environ))
    return Notification(bucket, name, Target("topic", topic_name), events, keys), topic


def _eventbridge(section: Section, bucket: str) -> Notification:
    _refuse_others(section, frozenset({"name", "bucket", EVENTBRIDGE}))
    if section.fields.get(EVENTBRIDGE) is not True:
        section.problem(EVENTBRIDGE, "must be true; leave the entry out for false")
    return Notification(bucket, EVENTBRIDGE, Target("eventbridge", EVENTBRIDGE), ("s3:*",))


def _name(section: Section, field: str, name: str) -> str:
    if name and not _NAME.fullmatch(name):
        section.problem(field, f"must be letters, digits, '.', '_' and '-', not {name!r}")
    return name


def _events(section: Section) -> tuple[str, ...]:
    value = section.fields.get("events", ["s3:ObjectCreated:*"])
    items = value if isinstance(value, list) else [value]
    if not items:
        section.problem("events", "must not be empty: Ceph takes that for everything")
    events = set()
    for item in items:
        event = f"s3:{item.removeprefix('s3:')}" if isinstance(item, str) else ""
        if not _EVENT.fullmatch(event):
            section.problem("events", f"holds {item!r}, not an event such as s3:ObjectCreated:*")
        events.add(event)
    return tuple(sorted(events))


def _filter(section: Section, *, ceph: bool) -> Filter:
    found = section.section("filter")
    _refuse_others(found, _FILTER_FIELDS if ceph else _FILTER_FIELDS - _CEPH_ONLY)
    regex = found.text("regex")
    if regex is not None and (problem := regex_problem(regex)):
        found.problem("regex", problem)
    return Filter(
        prefix=found.text("prefix"),
        suffix=found.text("suffix"),
        regex=regex,
        metadata=tuple(sorted(_pairs(found, "metadata"))),
        tags=tuple(sorted(_pairs(found, "tags"))),
    )


def _pairs(section: Section, name: str) -> Iterator[tuple[str, str]]:
    for key, value in section.section(name).fields.items():
        if not isinstance(key, str) or not isinstance(value, str) or not key:
            section.problem(name, f"must map texts to texts, not {key!r} to {kind(value)}")
        elif name == "metadata":
            yield f"x-amz-meta-{key.lower().removeprefix('x-amz-meta-')}", value
        else:
            yield key, value


def _queue(section: Section) -> Target:
    queue = section.required("queue")
    if url := _QUEUE_URL.fullmatch(queue):
        partition = "aws-cn" if url[1].startswith("cn-") else "aws"
        queue = f"arn:{partition}:sqs:{url[1]}:{url[2]}:{url[3]}"
    if queue and not _QUEUE_ARN.fullmatch(queue):
        section.problem("queue", f"must be the ARN of an SQS queue, or its URL, not {queue!r}")
    return Target("queue", queue)


def _refuse_others(section: Section, known: frozenset[str]) -> None:
    section.problems.extend(
        f"{section.at(str(name))} is not known here; known are {', '.join(sorted(known))}"
        for name in section.fields
        if name not in known
    )


def _conflicts(notifications: tuple[Notification, ...]) -> Iterator[str]:
    kinds = {"ceph" if one.target.kind == "topic" else "aws" for one in notifications}
    if len(kinds) > 1:
        yield "the file: endpoint is for Ceph, queue and eventbridge are for AWS; make two files"
    places: dict[tuple[str, str], Notification] = {}
    copies: dict[str, Notification] = {}
    for one in notifications:
        if places.setdefault((one.bucket, one.id), one) is not one:
            yield f"notification {one.id}: is there twice for bucket {one.bucket!r}"
        # Ceph copies the topic into the notification and keeps the copy under this name, once.
        elif one.target.kind == "topic":
            copy = f"{one.id}_{one.target.name}"
            if (other := copies.setdefault(copy, one)) is not one:
                yield (
                    f"notification {one.id}: Ceph would take it for {other.id!r} of bucket "
                    f"{other.bucket!r}: with their topics both are {copy!r}; rename one"
                )


def _exchanges(topics: Iterable[Topic]) -> Iterator[str]:
    first: dict[str, Topic] = {}
    for topic in topics:
        other = first.setdefault(topic.endpoint.url, topic)
        if other.exchange != topic.exchange:
            yield (
                f"topic {topic.name}: has another exchange than topic {other.name} at the same "
                "endpoint; Ceph keeps one connection to it, for one exchange"
            )
