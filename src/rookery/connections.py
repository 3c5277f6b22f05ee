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
from rookery.storage.protocol import ObjectStore
from rookery.storage.results import ResultsPlace, ResultsStore
from rookery.storage.s3 import Preloaded


@contextmanager
def connect(
    warmed: Warmed,
    name: str,
    settings: Settings,
    metrics: FunctionMetrics,
    preloaded: Preloaded | None,
) -> Iterator[Subscriber]:
    """Open the connections of a warmed function: the object store and the sink."""
    with ExitStack() as connections:
        store = _connect_store(settings, preloaded, connections) if settings.s3_enabled else None
        sink = _connect_sink(settings, connections)
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


def _connect_store(
    settings: Settings, preloaded: Preloaded | None, connections: ExitStack
) -> ObjectStore:
    store = connect_to_s3(
        settings, concurrency=settings.images_at_once() + settings.queue, preloaded=preloaded
    )
    connections.callback(store.close)
    return store


def _connect_sink(settings: Settings, connections: ExitStack) -> Sink | None:
    if settings.sink is None:
        return None
    sink = connect_sink(
        str(settings.sink),
        overrides=settings.ce_overrides,
        concurrency=settings.images_at_once() + settings.queue,
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
        settings.dedup.get_secret_value(), settings.dedup_seconds, settings.dedup_entries
    )
    return connections.enter_context(
        open_window(plan, scope=scope, on_skipped=metrics.count_dedup_skipped)
    )
