"""The broker's metrics, in a registry of its own."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rookery.errors import JournalUnavailable
from rookery.events.broker.database import DEAD

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """What the broker counts. Safe for all threads."""

    def __init__(self, prefix: str = "rookery_broker") -> None:
        """Start at zero; every name begins with *prefix*."""
        self._prefix = prefix
        self._registry = CollectorRegistry()
        self.accepted = self._counter("accepted", "Events journalled for the first time.")
        self.duplicates = self._counter("duplicate", "Events absorbed: already journalled.")
        self.refused = self._counter("refused", "Requests refused, by error.", "error")
        self.dropped = self._counter("hop_limit", "Events dropped: their hops were used up.")
        self.delivered = self._counter("delivered", "Deliveries that succeeded.", "trigger")
        self.retried = self._counter("retried", "Attempts that failed, retried.", "trigger")
        self.dead_lettered = self._counter(
            "dead_lettered", "Dead letters that the trigger's sink took.", "trigger"
        )
        self.dead = self._counter("dead", "Deliveries kept as dead letters.", "trigger")
        self.replies = self._counter("replies", "Reply events that came back.", "trigger")
        self.seconds = Histogram(
            f"{prefix}_delivery_seconds",
            "Duration of one delivery attempt.",
            ["trigger"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def watch(
        self,
        counts: Callable[[], Mapping[tuple[str, int], int]],
        waits: Callable[[], Mapping[str, float]],
    ) -> None:
        """Show the backlog whenever metrics are read.

        Args:
            counts: how many deliveries there are, by trigger and state.
            waits: for how many seconds the oldest event has been waiting, by trigger.
        """
        self._registry.register(_Backlog(self._prefix, counts, waits))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{self._prefix}_{name}_total", text, labels, registry=self._registry)


class _Backlog(Collector):
    def __init__(
        self,
        prefix: str,
        counts: Callable[[], Mapping[tuple[str, int], int]],
        waits: Callable[[], Mapping[str, float]],
    ) -> None:
        self._prefix = prefix
        self._counts = counts
        self._waits = waits

    def collect(self) -> Iterable[GaugeMetricFamily]:
        pending = self._gauge("pending", "Deliveries not yet made.")
        dead = self._gauge("dead_letters", "Dead letters in the journal.")
        oldest = self._gauge("oldest_pending_seconds", "How long the oldest event has waited.")
        try:
            counts, waits = self._counts(), self._waits()
        except JournalUnavailable:
            return []  # the other metrics are most wanted just then
        for name in sorted({trigger for trigger, _ in counts}):
            waiting = sum(n for (each, state), n in counts.items() if each == name and state < DEAD)
            pending.add_metric([name], waiting)
            dead.add_metric([name], counts.get((name, DEAD), 0))
            oldest.add_metric([name], waits.get(name, 0.0))
        return [pending, dead, oldest]

    def _gauge(self, name: str, text: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{self._prefix}_{name}", text, labels=["trigger"])
