"""The port to whatever takes our events."""

from typing import Protocol

from rookery.events.wire import CloudEvent


class Sink(Protocol):
    """Accepts one event at a time, durably: returning means the event is delivered.

    Implementations are safe to call from many threads at once.
    """

    def send(self, event: CloudEvent) -> None:
        """Deliver *event*.

        Raises:
            SinkUnavailable: the sink does not accept it at present, retries included.
            DeliveryRejected: the sink refuses this event for good.
        """
        ...
