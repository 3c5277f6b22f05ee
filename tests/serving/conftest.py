"""A function in this process: the fixed model, a store and a sink in memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rookery.backends.fixed import FixedBackend
from rookery.delivery.memory import MemorySink
from rookery.errors import ObjectGone, RookeryError
from rookery.events.dedup import DedupWindow
from rookery.images.limits import ImageLimits
from rookery.models.labels import read_labels
from rookery.models.repository import ModelVersion
from rookery.pipeline import Classifier
from rookery.serving.app import create_app
from rookery.serving.gallery import Gallery
from rookery.serving.gate import Gate
from rookery.serving.metrics import FunctionMetrics
from rookery.serving.service import Service
from rookery.serving.startup import Startup
from rookery.serving.subscriber import Subscriber, Subscription
from rookery.storage.memory import MemoryStore
from rookery.storage.protocol import StoredObject
from rookery.storage.results import ResultsPlace, ResultsStore

MAX_BODY_BYTES = 1_000_000


class WatchedModel:
    """A model that counts its calls, and holds them while `gate` is not set."""

    def __init__(self, model):
        self._model = model
        self._lock = threading.Lock()
        self.calls = 0
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    @property
    def signature(self):
        return self._model.signature

    def __call__(self, batch):
        with self._lock:
            self.calls += 1
        self.entered.set()
        assert self.gate.wait(30)
        return self._model(batch)


@dataclass
class WatchedStore:
    """Objects by bucket and key; version id and entity tag are always the right ones."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    reads: list[tuple[str, str, str | None]] = field(default_factory=list)
    error: RookeryError | None = None

    def read(
        self,
        bucket: str,
        key: str,
        *,
        version: str | None,
        max_bytes: int,
        etag: str | None = None,
    ) -> StoredObject:
        del max_bytes
        self.reads.append((bucket, key, version))
        if self.error is not None:
            raise self.error
        if (bucket, key) not in self.objects:
            raise ObjectGone(f"bucket {bucket!r} has no object {key!r}")
        return StoredObject(self.objects[bucket, key], etag)

    def write(self, bucket: str, key: str, data: bytes, *, content_type: str) -> None:
        del content_type
        self.objects[bucket, key] = data


@dataclass
class FunctionUnderTest:
    app: Flask
    client: FlaskClient
    startup: Startup[Service]
    gate: Gate
    metrics: FunctionMetrics
    model: WatchedModel
    store: WatchedStore | MemoryStore
    sink: MemorySink

    def sample(self, name: str, **labels: str) -> float:
        """The value of one metric, 0 where it was never counted."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def gallery_folder(tmp_path: Path, jpeg: bytes) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "test1.jpg").write_bytes(jpeg)
    return folder


@pytest.fixture
def make_function(
    penguins: ModelVersion, gallery_folder: Path
) -> Iterator[Callable[..., FunctionUnderTest]]:
    """Make a function; what is not said is as a person would have it, but for the tiny limits."""
    made: list[FunctionUnderTest] = []

    def make(  # noqa: PLR0913
        *,
        with_store: bool = True,
        with_sink: bool = True,
        store: MemoryStore | None = None,
        results: ResultsPlace | None = None,
        buckets: tuple[str, ...] = ("images",),
        event_name: str = "ObjectCreated:*",
        max_records: int = 1000,
        on_poison: str = "reject",
        concurrency: int = 2,
        queue: int = 8,
        fails_with: Exception | None = None,
        opened: threading.Event | None = None,
        wait_seconds: float = 30,
    ) -> FunctionUnderTest:
        model = WatchedModel(FixedBackend().load(penguins.directory, penguins.card))
        store, sink, metrics = store or WatchedStore(), MemorySink(), FunctionMetrics()
        gate = Gate(concurrency=concurrency, queue=queue)
        classifier = Classifier(
            model=model,
            card=penguins.card,
            labels=read_labels(penguins.directory, penguins.card),
            backend="fixed",
            limits=ImageLimits(max_bytes=MAX_BODY_BYTES, max_pixels=1_000_000),
            top_k=3,
            turn=gate.turn,
        )

        @contextmanager
        def open_service() -> Iterator[Service]:
            if opened is not None:
                assert opened.wait(30)
            if fails_with is not None:
                raise fails_with
            yield Service(
                classifier=classifier,
                gallery=Gallery(gallery_folder, "test1"),
                metrics=metrics,
                subscriber=Subscriber(
                    Subscription(
                        source="/rookery/functions/classify",
                        buckets=buckets,
                        event_name=event_name,
                        max_records=max_records,
                        on_poison=on_poison,
                    ),
                    classifier=classifier,
                    store=store if with_store else None,
                    sink=sink if with_sink else None,
                    window=DedupWindow(900, 10_000),
                    metrics=metrics,
                    results=None if results is None else ResultsStore(store, results),
                ),
            )

        startup = Startup(open_service, wait_seconds=wait_seconds)
        app = create_app("classify", startup, gate, metrics, max_body_bytes=MAX_BODY_BYTES)
        function = FunctionUnderTest(
            app, app.test_client(), startup, gate, metrics, model, store, sink
        )
        made.append(function)
        return function

    yield make
    for function in made:
        function.model.gate.set()
        function.startup.close()


@pytest.fixture
def function(make_function: Callable[..., FunctionUnderTest]) -> FunctionUnderTest:
    return make_function()
