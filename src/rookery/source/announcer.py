"""One queue message becomes events at the sink, or a dead letter there; it is never just lost."""

import logging

from rookery.delivery.protocol import Sink
from rookery.errors import DeliveryRejected, EventInvalid
from rookery.events import strict_json
from rookery.events.announcement import announce
from rookery.events.result import deadletter
from rookery.events.timestamp import now
from rookery.events.wire import CloudEvent
from rookery.source.protocol import Message
from rookery.source.tally import Tally

_log = logging.getLogger(__name__)


class Announcer:
    """Sends what messages announce. Thread-safe."""

    def __init__(self, sink: Sink, tally: Tally, *, source: str) -> None:
        """Send to *sink*, count in *tally*; *source* names us in dead letters."""
        self._sink = sink
        self._tally = tally
        self._source = source

    def announce(self, message: Message) -> None:
        """Send one event per object; returning means that the sink has them all.

        What is no notification, and an event that the sink refuses for good, is sent on as a
        dead letter.

        Raises:
            SinkUnavailable: the message must be tried again; its events keep their ids.
            DeliveryRejected: the sink refuses even the dead letter.
        """
        try:
            document = strict_json.parse(message.body, what=f"message {message.id}")
            events = announce(document)
        except EventInvalid as exc:
            _log.error("message %s becomes a dead letter: %s", message.id, exc)
            self._bury(exc, message.body.encode("utf-8", "surrogatepass"))
            return
        for event in events:
            try:
                self._sink.send(event)
            except DeliveryRejected as exc:
                _log.error("message %s becomes a dead letter: %s", message.id, exc)
                self._bury(exc, event)
            else:
                self._tally.add(delivered=1)

    def _bury(self, error: EventInvalid | DeliveryRejected, original: CloudEvent | bytes) -> None:
        self._sink.send(deadletter(error, original, source=self._source, time=now()))
        self._tally.add(deadletters=1)
