"""From the queue to the sink, at least once: what is not delivered is not deleted.

Two receivers by default: while one has a batch in hand, the other already waits for the next
message, so a message never waits for another one's delivery.
"""

import logging
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self

from rookery.delivery.protocol import Sink
from rookery.delivery.retry import RetryPolicy
from rookery.errors import DeliveryRejected, QueueUnavailable, SinkUnavailable
from rookery.link import Link
from rookery.source.announcer import Announcer
from rookery.source.deletions import Deletions
from rookery.source.protocol import Message, NotificationQueue
from rookery.source.tally import Tally

_log = logging.getLogger(__name__)

_POSTERS: Final = 10
# What even as a dead letter is refused: back in the queue, for its own redrive policy to move.
_REFUSED_SECONDS: Final = 900
_BACKOFF: Final = RetryPolicy(base_seconds=0.5, cap_seconds=10.0)


class Pump:
    """Runs while it is entered; leaving finishes the batches in hand."""

    def __init__(  # noqa: PLR0913
        self,
        queue: NotificationQueue,
        sink: Sink,
        *,
        source: str,
        receivers: int = 2,
        drain_seconds: float = 25.0,
        linger_seconds: float = 0.25,
        backoff: RetryPolicy = _BACKOFF,
    ) -> None:
        """Move messages from *queue* to *sink*; *source* names us in dead letters."""
        self.tally = Tally()
        self._queue = queue
        self._announcer = Announcer(sink, self.tally, source=source)
        self._backoff = backoff
        self._drain_seconds = drain_seconds
        self._queue_link = Link("the queue")
        self._sink_link = Link("the sink")
        self._deletions = Deletions(queue, self._queue_link, linger_seconds=linger_seconds)
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._batches_in_hand = 0
        self._posters = ThreadPoolExecutor(_POSTERS, thread_name_prefix="source-post")
        # Daemons, because a receiver may sit in a long poll of 20 s when the process ends.
        self._receivers = [
            threading.Thread(target=self._receive, name=f"source-receive-{n}", daemon=True)
            for n in range(receivers)
        ]

    def __enter__(self) -> Self:
        """Start receiving."""
        self._deletions.start()
        for thread in self._receivers:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Receive no more, and finish what is in hand within the drain time."""
        deadline = time.monotonic() + self._drain_seconds
        with self._changed:
            self._stopping.set()
            done = self._changed.wait_for(lambda: not self._batches_in_hand, self._drain_seconds)
        if not self._deletions.close(deadline - time.monotonic()) or not done:
            _log.warning("unfinished messages will be received again: the drain time is over")
        self._posters.shutdown(wait=done, cancel_futures=True)
        _log.info("source stopped: %s", self.tally)

    @property
    def alive(self) -> bool:
        """Whether every thread still runs; one that ended has left its traceback on stderr."""
        return self._deletions.alive and all(thread.is_alive() for thread in self._receivers)

    def _receive(self) -> None:
        while not self._stopping.is_set():
            try:
                messages = self._queue.receive()
            except QueueUnavailable as exc:
                self._pause(self._queue_link.down(exc))
                continue
            self._queue_link.up()
            if not messages:
                continue
            with self._changed:
                if self._stopping.is_set():
                    break  # they become visible again by themselves
                self._batches_in_hand += 1
            try:
                failures = self._settle(messages)
            finally:
                with self._changed:
                    self._batches_in_hand -= 1
                    self._changed.notify_all()
            if failures:
                # Receiving on would only wear out the messages' receive counts.
                self._pause(failures)

    def _settle(self, messages: Sequence[Message]) -> int:
        """Deliver, then settle or postpone each; return the sink's failures in a row."""
        self.tally.add(received=len(messages))
        if len(messages) == 1:
            delays = [self._deliver(messages[0])]
        else:
            delays = list(self._posters.map(self._deliver, messages))
        self._deletions.add([m for m, delay in zip(messages, delays, strict=True) if delay is None])
        try:
            for message, delay in zip(messages, delays, strict=True):
                if delay is not None:
                    self._queue.postpone(message, delay)
        except QueueUnavailable as exc:
            self._queue_link.down(exc)
        return self._sink_link.failures

    def _deliver(self, message: Message) -> int | None:
        """Announce *message*; None when it is settled, else the seconds to postpone it."""
        try:
            self._announcer.announce(message)
        except SinkUnavailable as exc:
            self._sink_link.down(exc)
            self.tally.add(postponed=1)
            return round(self._backoff.ceiling(message.receives))
        except DeliveryRejected as exc:
            _log.error(
                "message %s stays in the queue, even its dead letter is refused: %s",
                message.id,
                exc,
            )
            self.tally.add(postponed=1)
            return _REFUSED_SECONDS
        except Exception:  # noqa: BLE001 - with its traceback, which the rule does not see
            # A bug: the thread that it ended would end the source, and this message the next one.
            _log.exception("message %s stays in the queue", message.id)
            self.tally.add(postponed=1)
            return _REFUSED_SECONDS
        self._sink_link.up()
        return None

    def _pause(self, failures: int) -> None:
        self._stopping.wait(self._backoff.ceiling(failures) * random.uniform(0.5, 1.0))  # noqa: S311
