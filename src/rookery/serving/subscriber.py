"""The function as a broker's subscriber: events in, result events out, nothing lost between."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rookery.delivery.protocol import Sink
from rookery.errors import EventForbidden, EventInvalid, Rejected
from rookery.events import object_created, strict_json
from rookery.events.dedup import Dedup
from rookery.events.identity import object_identity
from rookery.events.object_created import ObjectCreated
from rookery.events.result import deadletter, failed
from rookery.events.selection import select
from rookery.events.timestamp import now
from rookery.events.wire import CloudEvent, from_http, is_event
from rookery.pipeline import Classifier, recognize
from rookery.serving.metrics import FunctionMetrics
from rookery.status import status_of
from rookery.storage.protocol import ObjectStore
from rookery.storage.results import ResultsStore

_log = logging.getLogger(__name__)

Announcement = tuple[CloudEvent | None, ObjectCreated]
"""An object-created fact, and the event that carried it (None for a bare notification)."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a function accepts, and how it refuses for good.

    Attributes:
        source: the `source` attribute of every event it makes.
        buckets: the buckets an event may name.
        event_name: the event names that are served, exact or a prefix ending in `*`.
        max_records: the most records in one request.
        on_poison: `reject` answers a final failure with its 4xx and lets the broker dead-letter
            it; `ack-and-deadletter` publishes a dead-letter event itself and answers 2xx, for
            producers such as Ceph that would retry a 4xx for ever.
    """

    source: str
    buckets: tuple[str, ...]
    event_name: str
    max_records: int
    on_poison: Literal["reject", "ack-and-deadletter"]


class Subscriber:
    """Turns announcements into results, each object version once per window."""

    def __init__(  # noqa: PLR0913
        self,
        subscription: Subscription,
        *,
        classifier: Classifier,
        store: ObjectStore | None,
        sink: Sink | None,
        window: Dedup,
        metrics: FunctionMetrics,
        results: ResultsStore | None = None,
    ) -> None:
        """Without a *store*, events are refused; without a *sink*, results are the reply.

        Where there are *results*, every result is kept there too before its event is answered.
        """
        self._subscription = subscription
        self._classifier = classifier
        self._store = store
        self._sink = sink
        self._window = window
        self._metrics = metrics
        self._kept = results

    def handle(self, headers: Mapping[str, str], body: bytes) -> tuple[CloudEvent, ...]:
        """Handle one HTTP message of events; return the events to answer it with.

        Raises:
            Rejected: a final failure, unless poison is acknowledged here.
            Unavailable, Overloaded: nothing was lost; the sender should retry.
        """
        events: tuple[CloudEvent, ...] = ()
        try:
            if is_event(headers):
                events = from_http(headers, body, max_events=self._subscription.max_records)
                announced = self._announced(events)
            else:
                announced = self._notified(body)
            announcements = self._select(announced)
            self._check_reply(headers, announcements)
            results = self._results(announcements)
            if self._sink is None or (len(results) == 1 and _wants_reply(headers)):
                for result in results:
                    self._keep(result)
                return results
            for result in results:
                # Sent first: where keeping fails, the repeat is absorbed by its id.
                self._sink.send(result)
                self._keep(result)
        except Rejected as error:
            if self._subscription.on_poison == "reject":
                raise
            self._acknowledge_poison(error, events[0] if len(events) == 1 else body)
        return ()

    def _announced(self, events: tuple[CloudEvent, ...]) -> list[Announcement]:
        limit = self._subscription.max_records
        return [
            (event, obj)
            for event in events
            for obj in object_created.from_event(event, max_records=limit)
        ]

    def _notified(self, body: bytes) -> list[Announcement]:
        limit = self._subscription.max_records
        notification = strict_json.parse(body)
        return [
            (None, obj) for obj in object_created.from_document(notification, max_records=limit)
        ]

    def _select(self, announced: list[Announcement]) -> list[Announcement]:
        """Return what this function serves of what is announced."""
        limit = self._subscription.max_records
        if len(announced) > limit:
            raise EventInvalid(
                f"{len(announced):,} records in one request, the limit is {limit:,}; "
                "send fewer, or raise ROOKERY_MAX_RECORDS"
            )
        if announced and self._store is None:
            raise EventForbidden(
                "object-created events are not served: set S3_ENABLED=true and the S3_* settings"
            )
        selected = [
            (cause, obj)
            for cause, announced_obj in announced
            # A result is nobody's image, whatever bucket it is kept in.
            if self._kept is None or not self._kept.holds(announced_obj.bucket, announced_obj.key)
            for obj in select(
                [announced_obj],
                buckets=self._subscription.buckets,
                event_name=self._subscription.event_name,
            )
        ]
        self._metrics.count_event("ignored", len(announced) - len(selected))
        return selected

    def _check_reply(self, headers: Mapping[str, str], announcements: list[Announcement]) -> None:
        """Refuse, before any work, several records from a Knative broker that has no sink."""
        if len(announcements) > 1 and self._sink is None and "kn-namespace" in _names(headers):
            raise EventInvalid(
                f"{len(announcements)} records in one event make as many results, and a Knative "
                "broker takes one as a reply; set K_SINK, for example with a SinkBinding"
            )

    def _results(self, announcements: list[Announcement]) -> tuple[CloudEvent, ...]:
        """Return one event per announcement, a failed one where that object has no result.

        The failure of an only object is raised instead, so that the status tells it; its failed
        event goes to the sink.
        """
        alone = len(announcements) == 1
        results = []
        for cause, obj in announcements:
            try:
                results.append(self._result(cause, obj))
            except Rejected as error:
                self._metrics.count_event("failed")
                failure = failed(
                    error,
                    cause=cause,
                    obj=obj,
                    source=self._subscription.source,
                    time=now(),
                    status=status_of(error),
                )
                _log.warning("%s/%s: %s: %s", obj.bucket, obj.key, error.code, error)
                if not alone:
                    self._metrics.count_error(error.code)
                    results.append(failure)
                    continue
                if self._sink is not None and self._subscription.on_poison == "reject":
                    self._sink.send(failure)
                self._keep(failure)
                raise
        return tuple(results)

    def _keep(self, result: CloudEvent) -> None:
        if self._kept is not None:
            self._kept.send(result)

    def _result(self, cause: CloudEvent | None, obj: ObjectCreated) -> CloudEvent:
        store = self._store
        assert store is not None  # noqa: S101 - _select has refused the events of a function without one
        result, repeated = self._window.run(
            object_identity(obj),
            lambda: recognize(
                obj,
                store=store,
                classifier=self._classifier,
                cause=cause,
                source=self._subscription.source,
                time=now(),
            ),
        )
        self._metrics.count_event("repeated" if repeated else "completed")
        return result

    def _acknowledge_poison(self, error: Rejected, original: CloudEvent | bytes) -> None:
        """Publish a dead-letter event, so that the sender may be told that all is well."""
        assert self._sink is not None  # noqa: S101 - Settings refuse this policy without a sink
        _log.warning("dead letter: %s: %s", error.code, error)
        self._metrics.count_error(error.code)
        self._sink.send(
            deadletter(
                error,
                original,
                source=self._subscription.source,
                time=now(),
                status=status_of(error),
            )
        )


def _wants_reply(headers: Mapping[str, str]) -> bool:
    """Whether the sender is a broker that takes a reply (Knative data plane, `Prefer: reply`)."""
    preferences = _names(headers).get("prefer", "").split(",")
    return any(one.partition(";")[0].strip().lower() == "reply" for one in preferences)


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
