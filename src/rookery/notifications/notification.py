"""What notifies whom of what: the same values for what a file wants and what a bucket has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rookery.notifications.capabilities import Capabilities
from rookery.notifications.endpoint import Endpoint

TargetKind = Literal["topic", "queue", "eventbridge", "function"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which objects; all of it must match, and nothing in it matches every object.

    Attributes:
        regex: matches the whole key; Ceph alone has it, and the next two.
        metadata: the object's user metadata, by header name (`x-amz-meta-…`).
        tags: the object's tags.
    """

    prefix: str | None = None
    suffix: str | None = None
    regex: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a notification leads: a topic by its name on Ceph; anything on AWS by its ARN."""

    kind: TargetKind
    name: str


@dataclass(frozen=True, slots=True)
class Notification:
    """One configuration of one bucket.

    Attributes:
        id: unique in its bucket on AWS; Ceph keeps two with one id, if their topics differ.
        events: sorted, with the prefix `s3:`.
    """

    bucket: str
    id: str
    target: Target
    events: tuple[str, ...]
    filter: Filter = field(default_factory=Filter)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of Ceph: a push endpoint, and how to push.

    Attributes:
        persistent: queued in Ceph and retried, instead of sent within the PUT.
        opaque: comes with every notification, as it is.
        ack: none, broker or routable (AMQP); None leaves it to Ceph.
        use_ssl: for Kafka; the other endpoints say it in their scheme.
        time_to_live: seconds a queued event is kept; 0 for ever, None leaves it to Ceph.
        max_retries: 0 without end.
        retry_sleep_duration: seconds.
    """

    name: str
    endpoint: Endpoint
    persistent: bool = False
    cloudevents: bool = False
    opaque: str = field(default="", repr=False)
    verify_ssl: bool = True
    ack: str | None = None
    exchange: str | None = None
    use_ssl: bool = False
    ca_location: str | None = None
    mechanism: str | None = None
    time_to_live: int | None = None
    max_retries: int | None = None
    retry_sleep_duration: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be: every notification's topic is among *topics*, if it leads to one."""

    notifications: tuple[Notification, ...]
    topics: tuple[Topic, ...] = ()

    @property
    def buckets(self) -> tuple[str, ...]:
        """Every bucket once, sorted."""
        return tuple(sorted({one.bucket for one in self.notifications}))


@dataclass(frozen=True, slots=True)
class Existing:
    """What there is.

    Attributes:
        capabilities: what the store can do, as far as it tells.
        topics: by name; None where the store does not show one.
        copies: Ceph before 19 copies a topic into every notification that leads to it, and pushes
            by the copy; by the notification's id and the topic's name, where it shows one.
    """

    capabilities: Capabilities
    notifications: tuple[Notification, ...]
    topics: Mapping[str, Topic | None] = field(default_factory=dict)
    copies: Mapping[tuple[str, str], Topic] = field(default_factory=dict)
