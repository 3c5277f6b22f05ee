"""What a function counts, in a registry of its own so that clones and tests start from zero."""

from collections.abc import Iterator
from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import InfoMetricFamily
from prometheus_client.registry import Collector

from rookery.lifecycle import instance
from rookery.models.classification import Timings
from rookery.serving.startup import Startup

Outcome = Literal["completed", "repeated", "failed", "ignored"]

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class FunctionMetrics:
    """The metrics of one function process."""

    def __init__(self) -> None:
        # In a woken snapshot they would be the times at which it was made.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "rookery_requests",
            "HTTP requests answered, by route and status.",
            ["route", "status"],
            registry=self.registry,
        )
        self._errors = Counter(
            "rookery_errors",
            "Refusals and failures, by error code.",
            ["error"],
            registry=self.registry,
        )
        self._events = Counter(
            "rookery_events",
            "Object-created records handled, by outcome: completed, repeated, failed, ignored.",
            ["outcome"],
            registry=self.registry,
        )
        self._dedup_skipped = Counter(
            "rookery_dedup_skipped",
            "Records handled without asking the dedup store, which did not answer.",
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "rookery_request_seconds",
            "Seconds from the request's arrival in a worker to its answer, by route.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._decode_seconds = Histogram(
            "rookery_decode_seconds",
            "Seconds spent decoding and resizing one image.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._inference_seconds = Histogram(
            "rookery_inference_seconds",
            "Seconds the backend spent on one image.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._ready = Gauge(
            "rookery_ready",
            "1 while the function is warmed and not draining.",
            registry=self.registry,
        )
        self.registry.register(_InstanceInfo())

    def watch(self, startup: Startup[object]) -> None:
        """Report *startup*'s readiness whenever the metrics are read."""
        self._ready.set_function(lambda: startup.state == "ready")

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(route, status).inc()
        self._request_seconds.labels(route).observe(seconds)

    def count_refused(self, code: str, status: int) -> None:
        """Count a request that the server refused before any route saw it."""
        self._requests.labels("none", status).inc()
        self.count_error(code)

    def count_error(self, code: str) -> None:
        """Count one refusal or failure."""
        self._errors.labels(code).inc()

    def count_event(self, outcome: Outcome, number: int = 1) -> None:
        """Count object-created records by what became of them."""
        self._events.labels(outcome).inc(number)

    def count_dedup_skipped(self) -> None:
        """Count one record whose repeats could not be looked for."""
        self._dedup_skipped.inc()

    def observe(self, timings: Timings) -> None:
        """Record where the time of one classified image went."""
        self._decode_seconds.observe(timings.decode_ms / 1000)
        self._inference_seconds.observe(timings.infer_ms / 1000)

    def exposition(self) -> tuple[bytes, str]:
        """Return the text exposition and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _InstanceInfo(Collector):
    """Which of many clones this is, looked up at each reading: a restore changes it."""

    def collect(self) -> Iterator[InfoMetricFamily]:
        here = instance.current()
        # Not `instance`: that is the label by which Prometheus names its target.
        labels = {"instance_id": here.id, "hostname": here.hostname}
        yield InfoMetricFamily(
            "rookery_instance", "Which process answers: a clone of a snapshot is another.", labels
        )
