"""A difference in words, one line each, without secrets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rookery.notifications.difference import Difference
from rookery.notifications.notification import Filter, Notification, Topic

_WIDTH = 21


@dataclass(frozen=True, slots=True)
class _Fact:
    """A value and how it is shown; equal where the values are, not where they look alike."""

    shown: str = field(compare=False)
    value: object


_Facts = Mapping[str, _Fact]


def difference_lines(difference: Difference) -> Iterator[str]:
    """Write *difference*: `+` is added, `~` changed, `-` removed."""
    for topic in difference.topics:
        yield f"{topic.sign} topic {topic.name}"
        before = {} if topic.before is None else _topic_facts(topic.before)
        after = {} if topic.after is None else _topic_facts(topic.after)
        yield from _compared(before, after)
    for change in difference.notifications:
        note = "  (not in the file)" if change.foreign else ""
        note = "  (sent again: Ceph keeps a copy of the topic in it)" if change.stale else note
        yield f"{change.sign} notification {change.bucket}/{change.id}{note}"
        after = {} if change.after is None else notification_facts(change.after)
        for one in change.before or (None,):
            yield from _compared({} if one is None else notification_facts(one), after)


def notification_facts(one: Notification) -> _Facts:
    """Return what there is to say of *one*."""
    shown = {
        one.target.kind: one.target.name,
        "events": ", ".join(one.events),
        "filter": filter_text(one.filter),
    }
    return {name: _Fact(text, text) for name, text in shown.items() if text}


def filter_text(found: Filter) -> str:
    """Write a filter in one line; nothing where it lets everything through."""
    keys = {"prefix": found.prefix, "suffix": found.suffix, "regex": found.regex}
    parts = [f"{name}={value}" for name, value in keys.items() if value is not None]
    parts += [f"{name}={value}" for name, value in found.metadata]
    parts += [f"tag:{name}={value}" for name, value in found.tags]
    return " ".join(parts)


def _topic_facts(topic: Topic) -> _Facts:
    opaque = f"({len(topic.opaque)} characters)" if topic.opaque else ""
    facts = {
        "endpoint": _Fact(str(topic.endpoint), topic.endpoint),
        "persistent": _plain(topic.persistent),
        "cloudevents": _plain(topic.cloudevents or None),
        "opaque": _Fact(opaque, topic.opaque),
        "verify_ssl": _plain(False if not topic.verify_ssl else None),
        "use_ssl": _plain(topic.use_ssl or None),
        "exchange": _plain(topic.exchange),
        "ack": _plain(topic.ack),
        "ca_location": _plain(topic.ca_location),
        "mechanism": _plain(topic.mechanism),
        "time_to_live": _plain(topic.time_to_live),
        "max_retries": _plain(topic.max_retries),
        "retry_sleep_duration": _plain(topic.retry_sleep_duration),
    }
    return {name: fact for name, fact in facts.items() if fact.shown}


def _plain(value: str | int | None) -> _Fact:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _Fact("" if value is None else text, value)


def _compared(before: _Facts, after: _Facts) -> Iterator[str]:
    """Write what differs; with one side empty, everything of the other."""
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        texts = [fact.shown if fact else "unset" for fact in (old, new)]
        if not before or not after:
            text = texts[1] if new else texts[0]
        elif texts[0] == texts[1]:
            text = f"{texts[1]} (changed in what is not shown)"
        else:
            text = f"{texts[0]} -> {texts[1]}"
        yield f"    {name:{_WIDTH}}{text}"
