"""The local Ceph under `rookery up`: brought up, its bucket made, its events asked for."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rookery.local.present import stage_line
from rookery.local.supervisor import answers
from rookery.notifications.connection import Connection
from rookery.notifications.ensure import ensure
from rookery.storage.ceph.bucket import ensure_bucket
from rookery.storage.ceph.node import Told, Wanted, bring_up, restart_radosgw
from rookery.storage.ceph.queues import Queue, is_delivering, read_queue
from rookery.storage.ceph.state import CephNode

_POLL_SECONDS: Final = 0.5
# radosgw looks for new topics every 30 s, and no setting changes that.
_DELIVERY_SECONDS: Final = 40
# With a receiver that is up, an event waits for milliseconds.
_STALL_SECONDS: Final = 15.0
_LONGEST_PATIENCE_SECONDS: Final = 600.0

Say = Callable[[str], None]


def node_for_up(home: Path, say: Say) -> CephNode:
    """Return the running node of *home*; one that is not up is brought up, and stays so.

    Raises:
        CephMissing, CephInvalid, PortTaken, StartFailed: as `bring_up`.
    """
    brought = bring_up(home, Wanted(), _told(say))
    if not brought.was_up:
        say("Ceph is up, and stays up when this ends; stop it with: rookery ceph down")
    return brought.node


@dataclass(frozen=True, slots=True)
class CephBucket:
    """The bucket, and who is to be notified of what is created in it.

    Attributes:
        home: whose node it is in.
        persistent: Ceph queues events and repeats them; else an upload waits for its one attempt.
        results: other buckets that functions keep their results in.
    """

    home: Path
    node: CephNode
    bucket: str
    receiver_url: str
    persistent: bool
    results: tuple[str, ...] = ()

    @property
    def topic(self) -> str:
        """The name of its topic."""
        return f"rookery-up-{self.bucket}"

    @property
    def queue(self) -> Queue | None:
        """What Ceph is delivering, if the topic has a queue and radosgw has found it."""
        queue = read_queue(self.node.folder, self.topic) if self.persistent else None
        # To ask who holds it takes longer, and rarely matters.
        return queue if queue is None or queue.is_empty or self._is_delivering() else None

    @property
    def undelivered(self) -> Queue | None:
        """The same, while the receiver would take it: what it refuses is no fault of radosgw."""
        return self.queue if answers(f"{self.receiver_url}health/readiness") else None

    def notify(self, say: Say) -> None:
        """Make the buckets, topic and notification, where they are not there already.

        Raises:
            RookeryError: Ceph refuses one of them.
        """
        for bucket in (self.bucket, *self.results):
            ensure_bucket(self.node, bucket)
        connection = Connection(
            self.node.endpoint, self.node.region, self.node.access_key, self.node.secret_key
        )
        for line in ensure(
            connection,
            self.bucket,
            name=self.topic,
            endpoint=self.receiver_url,
            persistent=self.persistent,
        ):
            say(line)
        if (queue := self.queue) and not queue.is_empty:
            say("there are events from while nothing was up; radosgw is started anew for them …")
            self.restart(say)

    def restart(self, say: Say) -> None:
        """Start radosgw again: it has stopped to deliver, and knows no other way to resume.

        Raises:
            StartFailed: it does not start.
        """
        restart_radosgw(self.home, _told(say))

    def await_delivery(self, say: Say, *, stopping: Callable[[], bool]) -> None:
        """Wait until Ceph delivers from the topic: half a minute for one that is new to radosgw.

        After that an upload's event takes about 0.1 s. Nothing is lost meanwhile.
        """
        if not self.persistent or self._is_delivering():
            return
        say("waiting for Ceph to deliver from the topic (up to 30 s) …")
        began = time.monotonic()
        while not stopping() and time.monotonic() < began + _DELIVERY_SECONDS:
            if self._is_delivering():
                say(stage_line("notifications", time.monotonic() - began))
                return
            time.sleep(_POLL_SECONDS)

    def _is_delivering(self) -> bool:
        return is_delivering(self.node.folder, self.topic)


@dataclass(slots=True)
class StallWatch:
    """Notices a queue of which radosgw delivers nothing, less and less often while it lasts."""

    _front: tuple[int, int] | None = None
    _since: float = 0.0
    _patience: float = _STALL_SECONDS

    def is_stalled(self, queue: Queue | None, now: float) -> bool:
        """Say whether *queue*, as it is *now* (seconds), has stood still for too long."""
        if queue is None or queue.is_empty:
            self._front = None
        elif queue.front != self._front:
            self._front, self._since, self._patience = queue.front, now, _STALL_SECONDS
        if self._front is None or now < self._since + self._patience:
            return False
        self._since, self._patience = now, min(2 * self._patience, _LONGEST_PATIENCE_SECONDS)
        return True


def _told(say: Say) -> Told:
    return Told(lambda name, seconds: say(stage_line(name, seconds)), say)
