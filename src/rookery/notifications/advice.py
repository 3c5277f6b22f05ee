"""What a user should know before a difference is applied: left out, kept, or a trap."""

from collections.abc import Iterator

from rookery.notifications.capabilities import LIMITS
from rookery.notifications.difference import Difference, foreign, using
from rookery.notifications.notification import Existing, Wanted


def advice(wanted: Wanted, existing: Existing, difference: Difference) -> tuple[str, ...]:
    """Return notes, one line each; all of them are also in docs/ceph.md."""
    return (
        *ineffective(wanted, existing),
        *_traps(wanted, existing),
        *_queued(difference),
        *_kept(wanted, existing, difference),
    )


def ineffective(wanted: Wanted, existing: Existing) -> Iterator[str]:
    """Name what the store does not know, as far as it tells."""
    able = existing.capabilities
    limits = [
        name for name in LIMITS if any(getattr(topic, name) is not None for topic in wanted.topics)
    ]
    if limits and able.limits is False:
        yield (
            f"{able.store} does not know {', '.join(limits)}: it retries a persistent topic "
            "for ever"
        )
    if not any(topic.cloudevents for topic in wanted.topics):
        return
    if able.cloudevents is False:
        yield f"{able.store} does not know cloudevents: it sends plain JSON"
    if able.cloudevents is None:
        yield f"{able.store} may not know cloudevents: Ceph 16 takes it and sends plain JSON"


def _traps(wanted: Wanted, existing: Existing) -> Iterator[str]:
    removals = any(
        event.startswith("s3:ObjectRemoved") for one in wanted.notifications for event in one.events
    )
    if removals and existing.capabilities.fragile_deletes:
        yield (
            "the radosgw of Ceph 16.2 aborts when one request deletes several objects of a bucket "
            "that notifies of removals (boto3's delete_objects): better leave ObjectRemoved out"
        )
    direct = {topic.name for topic in wanted.topics if not topic.persistent}
    buckets = {one.bucket for one in wanted.notifications if one.target.name in direct}
    for bucket in sorted(buckets):
        many = sum(one.bucket == bucket for one in wanted.notifications)
        if many > 1 and existing.capabilities.push:
            yield (
                f"bucket {bucket} has {many} notifications, not all of them persistent: when the "
                "endpoint of one fails, Ceph 16.2 drops the event for those after it too"
            )


def _queued(difference: Difference) -> Iterator[str]:
    for change in difference.topics:
        before, after = change.before, change.after
        if before is None or not before.persistent:
            continue
        if after is None:
            yield f"what is queued for {before.endpoint} is dropped with topic {change.name}"
        elif before.endpoint != after.endpoint:
            yield (
                f"what is queued for {before.endpoint} still goes there until it is taken, and new "
                "events are repeated meanwhile; to drop it: remove, apply, rookery reconcile"
            )


def _kept(wanted: Wanted, existing: Existing, difference: Difference) -> Iterator[str]:
    moved = [change.name for change in difference.topics if change.sign == "~"]
    for one in using(moved, existing, wanted):
        yield (
            f"{one.bucket}/{one.id} is not in the file and keeps its copy of topic "
            f"{one.target.name} as it was"
        )
    gone = {one for change in difference.notifications for one in change.before}
    for one in foreign(wanted, existing):
        if one not in gone:
            yield f"{one.bucket}/{one.id} is not in the file: kept"
