"""The journalling receiver: notifications over HTTP, answered once they are on disk.

It is the embedded broker with a reader of notifications in front and one trigger behind: the
sink. A sender that waits for the answer (Ceph's synchronous topics) waits for a disk, not for a
model; one that repeats what fails a thousand times a second (its persistent topics) sees no
failure.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rookery.credentials import Outgoing, shown
from rookery.errors import DeliveryRejected
from rookery.events.broker.backoff import Backoff
from rookery.events.broker.metrics import Metrics
from rookery.events.broker.retention import Retention
from rookery.events.broker.service import Broker, Limits, open_broker
from rookery.events.broker.trigger import Delivery, Trigger
from rookery.events.result import DEADLETTER, deadletter
from rookery.events.timestamp import now
from rookery.events.wire import CloudEvent
from rookery.source.poison import OnPoison, Reader

SINK: Final = "sink"
"""The name of the only trigger: its place in the journal, and in metrics and dead letters."""

_SOURCE: Final = "/rookery/sources/ceph"
_BACKOFF: Final = Backoff(delay=0.2, maximum=10.0)


@dataclass(frozen=True, slots=True)
class Target:
    """Where events go.

    Attributes:
        url: the sink; any 2xx of it is an acknowledgment, whatever the body.
        concurrency: events on their way at the same time.
        timeout: seconds one attempt may take.
        backoff: how long an event waits that the sink could not take, whatever became of others.
        extensions: set on every event.
        outgoing: how we present ourselves there, and whom we believe.
    """

    url: str
    concurrency: int = 8
    timeout: float = 60.0
    backoff: Backoff = _BACKOFF
    extensions: Mapping[str, str] = field(default_factory=dict)
    outgoing: Outgoing | None = None


class ReceiverMetrics(Metrics):
    """What the receiver counts."""

    def __init__(self) -> None:
        """Start at zero."""
        super().__init__("rookery_receiver")
        self.poisoned = self._counter(
            "poisoned", "Requests that became a dead letter, by error.", "error"
        )


@contextmanager
def open_receiver(
    path: Path,
    target: Target,
    *,
    on_poison: OnPoison = "ack-and-deadletter",
    limits: Limits | None = None,
    retention: Retention | None = None,
) -> Iterator[Broker]:
    """Open the journal at *path*, deliver what it holds to *target*, and stop cleanly in the end.

    Raises:
        JournalUnavailable: the journal cannot be opened, or is in use.
    """
    metrics = ReceiverMetrics()
    reader = Reader(
        on_poison, source=_SOURCE, count=lambda code: metrics.poisoned.labels(code).inc()
    )

    def read(headers: Mapping[str, str], body: bytes) -> list[CloudEvent]:
        return [_with(each, target.extensions) for each in reader.read(headers, body)]

    with open_broker(
        path,
        [_trigger(target)],
        limits=limits,
        retention=retention,
        read=read,
        metrics=metrics,
        outgoing=target.outgoing,
    ) as broker:
        yield broker


def _trigger(target: Target) -> Trigger:
    return Trigger(
        name=SINK,
        subscriber=target.url,
        concurrency=target.concurrency,
        delivery=Delivery(
            retry=sys.maxsize,  # a sink that is down makes no dead letters
            backoff=target.backoff,
            timeout=target.timeout,
            replies=False,
            patient=True,
            notice=_notice(target),
        ),
    )


def _notice(target: Target) -> Callable[[CloudEvent, str], CloudEvent | None]:

    def make(event: CloudEvent, reason: str) -> CloudEvent | None:
        if event.type == DEADLETTER:
            return None
        error = DeliveryRejected(
            f"{shown(target.url)} refused event {event.id!r} for good: {reason}"
        )
        return _with(deadletter(error, event, source=_SOURCE, time=now()), target.extensions)

    return make


def _with(event: CloudEvent, extensions: Mapping[str, str]) -> CloudEvent:
    if not extensions:
        return event
    return replace(event, extensions={**event.extensions, **extensions})
