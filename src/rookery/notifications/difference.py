"""What has to be done so that what is becomes what is wanted. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from rookery.notifications.capabilities import Capabilities
from rookery.notifications.notification import Existing, Notification, Topic, Wanted

Sign = Literal["+", "~", "-"]


@dataclass(frozen=True, slots=True)
class TopicChange:
    """A topic that is made (+), made anew under its name (~) or deleted (-)."""

    sign: Sign
    name: str
    before: Topic | None = None
    after: Topic | None = None


@dataclass(frozen=True, slots=True)
class NotificationChange:
    """A notification that is put (+, ~) or deleted (-).

    Attributes:
        before: what has this id in this bucket now; Ceph may have several.
        stale: nothing of it differs, but it holds a copy of a topic that changes.
        foreign: the file does not name it.
    """

    sign: Sign
    bucket: str
    id: str
    before: tuple[Notification, ...] = ()
    after: Notification | None = None
    stale: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything to do; nothing where both are empty."""

    topics: tuple[TopicChange, ...] = ()
    notifications: tuple[NotificationChange, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.topics and not self.notifications

    @property
    def removes_foreign(self) -> bool:
        """Whether it deletes what the file does not name."""
        return any(change.foreign for change in self.notifications)


def to_apply(wanted: Wanted, existing: Existing, *, prune: bool = False) -> Difference:
    """Return what makes *existing* what is *wanted*.

    Args:
        wanted: what the file says.
        existing: at least the wanted buckets and topics.
        prune: delete what the wanted buckets have beside.
    """
    able = existing.capabilities
    topics = {topic.name: _fitting(topic, able) for topic in wanted.topics}
    changes = []
    for name, topic in topics.items():
        before = _fitted(existing.topics.get(name), able)
        if before != topic:
            sign: Sign = "~" if name in existing.topics else "+"
            changes.append(TopicChange(sign, name, before, topic))
    changed = {change.name for change in changes}
    notifications = []
    for one in wanted.notifications:
        present = _with_id(existing, one)
        topic_name = one.target.name
        copy = _fitted(existing.copies.get((one.id, topic_name)), able)
        current = topic_name not in changed and (copy is None or copy == topics[topic_name])
        if present == (one,) and current:
            continue
        stale = present == (one,)
        sign = "~" if present else "+"
        notifications.append(
            NotificationChange(sign, one.bucket, one.id, present, one, stale=stale)
        )
    if prune:
        notifications += [
            NotificationChange("-", one.bucket, one.id, (one,), foreign=True)
            for one in foreign(wanted, existing)
        ]
    return Difference(tuple(changes), tuple(notifications))


def to_remove(wanted: Wanted, existing: Existing, *, prune: bool = False) -> Difference:
    """Return what takes away everything *wanted*, and topics that nothing else uses.

    *existing* should hold every bucket that may use the topics.
    """
    notifications = [
        NotificationChange("-", one.bucket, one.id, before)
        for one in wanted.notifications
        if (before := _with_id(existing, one))
    ]
    if prune:
        notifications += [
            NotificationChange("-", one.bucket, one.id, (one,), foreign=True)
            for one in foreign(wanted, existing)
        ]
    gone = {one for change in notifications for one in change.before}
    used = {one.target.name for one in existing.notifications if one not in gone}
    topics = tuple(
        TopicChange("-", topic.name, existing.topics[topic.name])
        for topic in wanted.topics
        if topic.name in existing.topics and topic.name not in used
    )
    return Difference(topics, tuple(notifications))


def foreign(wanted: Wanted, existing: Existing) -> tuple[Notification, ...]:
    """Return what the wanted buckets have that is not wanted."""
    ours = {(one.bucket, one.id) for one in wanted.notifications}
    return tuple(
        one
        for one in existing.notifications
        if one.bucket in wanted.buckets and (one.bucket, one.id) not in ours
    )


def using(topics: Iterable[str], existing: Existing, wanted: Wanted) -> tuple[Notification, ...]:
    """Return the notifications beside the *wanted* ones that lead to one of *topics*."""
    names = set(topics)
    ours = {(one.bucket, one.id) for one in wanted.notifications}
    return tuple(
        one
        for one in existing.notifications
        if one.target.name in names and (one.bucket, one.id) not in ours
    )


def _with_id(existing: Existing, wanted: Notification) -> tuple[Notification, ...]:
    return tuple(
        one
        for one in existing.notifications
        if (one.bucket, one.id) == (wanted.bucket, wanted.id)
        # A bucket has one switch for EventBridge, and it has no id.
        and (one.target.kind == "eventbridge") == (wanted.target.kind == "eventbridge")
    )


def _fitted(topic: Topic | None, capabilities: Capabilities) -> Topic | None:
    return None if topic is None else _fitting(topic, capabilities)


def _fitting(topic: Topic, capabilities: Capabilities) -> Topic:
    """Leave out what the store would keep without understanding it."""
    if capabilities.limits is False:
        topic = replace(topic, time_to_live=None, max_retries=None, retry_sleep_duration=None)
    if capabilities.cloudevents is False:
        topic = replace(topic, cloudevents=False)
    return topic
