"""One object-created event for each object that has no result."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Final, Literal

from rookery.delivery.protocol import Sink
from rookery.events.announcement import record_of, to_event
from rookery.events.identity import digest
from rookery.events.object_created import ObjectCreated
from rookery.events.wire import CloudEvent
from rookery.reconcile.lookup import Looked
from rookery.reconcile.patience import Patience
from rookery.storage.protocol import ListedObject, ObjectListing

PRODUCER: Final = "rookery:reconcile"
"""The eventSource of the records made here, and the start of their events' source."""

Emission = Literal["emitted", "gone"]


@dataclass(frozen=True, slots=True)
class Announcing:
    """What every event of a run says.

    Attributes:
        bucket: where the objects are.
        event_name: such as `ObjectCreated:Put`: a listing does not say how an object came.
        region: the region in the events' source.
        again: names the run where doing it again is what it is for: part of every id, so that
            nobody absorbs its events but those of the same run.
    """

    bucket: str
    event_name: str = "ObjectCreated:Put"
    region: str = ""
    again: str = ""

    def event(self, obj: ListedObject) -> CloudEvent:
        """Make the event for *obj*, the newest version there is.

        The id follows from that version, so that a broker absorbs it when a run is repeated.
        """
        moment = obj.modified.astimezone(UTC).isoformat(timespec="milliseconds")
        created = ObjectCreated(
            bucket=self.bucket,
            key=obj.key,
            event_name=self.event_name,
            version=obj.version,
            etag=obj.etag,
            size=obj.size,
            time=moment.replace("+00:00", "Z"),
        )
        event = to_event(created, record_of(created, producer=PRODUCER, region=self.region))
        return replace(event, id=digest("again", event.id, self.again)) if self.again else event


class Pacer:
    """Lets through so many a second, evenly. Thread-safe."""

    def __init__(
        self,
        rate: float | None,
        stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let *rate* a second through, or as many as come; wait no more once *stopping*."""
        self._interval = 0.0 if rate is None else 1.0 / rate
        self._stopping = stopping
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Wait for the next turn."""
        if not self._interval:
            return
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._interval
        self._stopping.wait(turn - now)


class Emitter:
    """Sends the events. Thread-safe."""

    def __init__(
        self,
        listing: ObjectListing,
        sink: Sink,
        announcing: Announcing,
        *,
        patience: Patience,
        pacer: Pacer,
    ) -> None:
        """Send to *sink* what *announcing* makes of objects that *listing* still has."""
        self._listing = listing
        self._sink = sink
        self._announcing = announcing
        self._patience = patience
        self._pacer = pacer

    def emit(self, looked: Looked) -> Emission:
        """Send the event for *looked*, unless it is not there any more as it was listed.

        Raises:
            DeliveryRejected: the sink refuses it for good.
            SinkUnavailable, StorageUnavailable, StorageDenied: not now.
        """
        self._pacer.wait()
        # The version id is worth a request: with it the event is about this version for ever, and
        # equal to its notification, should that come after all.
        obj = self._listing.find(self._announcing.bucket, looked.obj.key)
        if obj is None or obj.etag != looked.obj.etag:
            return "gone"
        # A HEAD cuts its time to seconds, and all runs are to say the same.
        event = self._announcing.event(replace(obj, modified=looked.obj.modified))
        self._patience.call(lambda: self._sink.send(event))
        return "emitted"
