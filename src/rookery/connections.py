"""The connections of a warmed function: what is opened once per clone, after the snapshot point."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rookery.dedup.registry import WindowPlan, open_window
from rookery.delivery.protocol import Sink
from rookery.delivery.sink import connect_sink
from rookery.events.dedup import Dedup
from rookery.events.identity import digest
from rookery.lifecycle.phases import Warmed
from rookery.s3_store import connect_to_s3
from rookery.serving.metrics import FunctionMetrics
from rookery.serving.subscriber import Subscriber, Subscription
from rookery.settings import Settings
from rookery.storage.results import ResultsPlace, ResultsStore
from rookery.storage.s3 import Preloaded


@contextmanager
def connect(  # noqa: PLR0913
    warmed: Warmed,
    name: str,
    settings: Settings,
    metrics: FunctionMetrics,
    preloaded: Preloaded | None,
    *,
    capacity: int,
) -> Iterator[Subscriber]:
    """Open the connections of a warmed function: the object store and the sink.

    Args:
        warmed: what answers.
        name: the function's.
        settings: whom to connect to.
        metrics: told what happens.
        preloaded: what makes connecting to S3 quick.
        capacity: how many requests may be inside, the gate's: each may need a connection.
    """
    with ExitStack() as connections:
        store = None
        if settings.s3_enabled:
            store = connect_to_s3(settings, concurrency=capacity, preloaded=preloaded)
            connections.callback(store.close)
        sink = _connect_sink(settings, capacity, connections)
        results = None
        if store is not None and settings.results_bucket is not None:
            place = ResultsPlace(settings.results_bucket, settings.results_prefix)
            results = ResultsStore(store, place)
        window = _open_window(warmed, name, settings, metrics, connections)
        yield Subscriber(
            Subscription(
                source=f"/rookery/functions/{name}",
                buckets=settings.s3_buckets,
                event_name=settings.s3_event_name,
                max_records=settings.max_records,
                on_poison=settings.on_poison,
            ),
            classifier=warmed.classifier,
            store=store,
            sink=sink,
            window=window,
            metrics=metrics,
            results=results,
        )


def _connect_sink(settings: Settings, capacity: int, connections: ExitStack) -> Sink | None:
    if settings.sink is None:
        return None
    sink = connect_sink(
        str(settings.sink),
        overrides=settings.ce_overrides,
        concurrency=capacity,
        outgoing=settings.outgoing(),
    )
    connections.callback(sink.close)
    return sink


def _open_window(
    warmed: Warmed,
    name: str,
    settings: Settings,
    metrics: FunctionMetrics,
    connections: ExitStack,
) -> Dedup:
    classifier = warmed.classifier
    card = classifier.card
    # What another model, or another function, says about the same object is another answer.
    scope = digest(
        name, card.name, str(card.version), classifier.backend, str(classifier.top_k)
    )[:32]  # fmt: skip
    plan = WindowPlan(
        settings.dedup.get_secret_value(),
        settings.dedup_seconds,
        settings.dedup_entries,
        settings.dedup_password_file,
    )
    return connections.enter_context(
        open_window(plan, scope=scope, on_skipped=metrics.count_dedup_skipped)
    )
