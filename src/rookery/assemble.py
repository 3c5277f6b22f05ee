"""The composition root of a function: settings in, a running function out.

The only module of a function that names technologies; the commands are the roots of the rest.
"""

import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Final

from flask import Flask, Request
from werkzeug.wrappers import Response

from rookery.backends.registry import create_backend
from rookery.dedup.registry import WindowPlan, open_window
from rookery.dedup.registry import preload as preload_window
from rookery.delivery.protocol import Sink
from rookery.delivery.sink import connect_sink
from rookery.errors import FunctionInvalid, RookeryError
from rookery.events.dedup import Dedup
from rookery.events.identity import digest
from rookery.function_folder import FunctionFolder
from rookery.images.limits import ImageLimits
from rookery.lifecycle.phases import Warmed, load, warm
from rookery.logs import configure_logs
from rookery.models.repository import Repository
from rookery.serving.app import create_app
from rookery.serving.bearer import with_bearer
from rookery.serving.gallery import Gallery
from rookery.serving.gate import Gate
from rookery.serving.limits import Limits
from rookery.serving.metrics import FunctionMetrics
from rookery.serving.reply import to_refusal
from rookery.serving.server import Server, stopped_by_signals
from rookery.serving.service import Service
from rookery.serving.startup import Startup
from rookery.serving.subscriber import Subscriber, Subscription
from rookery.serving.unread import discard
from rookery.settings import Settings
from rookery.storage.protocol import ObjectStore
from rookery.storage.results import ResultsPlace, ResultsStore
from rookery.storage.s3 import Preloaded
from rookery.storage.s3 import connect as connect_s3
from rookery.storage.s3 import preload as preload_s3

_log = logging.getLogger(__name__)

# Probes and metrics are answered while every admitted request holds a thread.
_SPARE_THREADS: Final = 4


class Function:
    """A classifying function: one folder, one model, however it is run.

    Making one does nothing: settings are read and the model is loaded when it is first used.
    """

    def __init__(self, name: str, *, folder: Path) -> None:
        """Name the function; *folder* holds its `data/`."""
        self.name = name
        self._folder = folder
        self._lock = threading.Lock()
        self._app: Flask | None = None

    def respond(self, request: Request) -> Response:
        """Answer one request in a process that somebody else serves, such as functions-framework.

        The first request starts the loading, not the import: gunicorn forks in between.
        """
        with self._lock:
            if self._app is None:
                configure_logs()
                try:
                    self._app, _, _ = self._assemble(Settings.read())
                except RookeryError as error:
                    _log.error("%s: %s", error.code, error)
                    return to_refusal(error)
        response = Response.from_app(self._app.wsgi_app, request.environ)
        discard(request.environ["wsgi.input"])
        return response

    def serve(self, settings: Settings, *, on_listening: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT, then drain.

        Raises:
            PortTaken: the address cannot be listened on.
            RookeryError: loading, warming or connecting failed.
        """
        app, startup, metrics = self._assemble(settings)
        server = Server(
            app,
            host=settings.host,
            port=settings.port,
            threads=settings.concurrency + settings.queue + _SPARE_THREADS,
            max_body_bytes=settings.max_body_bytes,
            drain_seconds=settings.drain_seconds,
            on_refused=metrics.count_refused,
            limits=Limits(
                settings.header_seconds,
                settings.body_seconds,
                connections=settings.max_connections,
            ),
        )

        def stop_on_failure() -> None:
            startup.wait()
            if startup.error is not None:
                server.stop()

        with stopped_by_signals(server.stop):
            on_listening(server.url)
            startup.begin()
            threading.Thread(target=stop_on_failure, daemon=True).start()
            server.run(on_drain=startup.drain)
        startup.close()
        if startup.error is not None:
            raise startup.error

    def _assemble(self, settings: Settings) -> tuple[Flask, Startup[Service], FunctionMetrics]:
        metrics = FunctionMetrics()
        data_dir = settings.data_dir or self._folder / "data"
        gate = Gate(concurrency=settings.concurrency, queue=settings.queue)
        startup = Startup(
            lambda: open_service(self.name, settings, data_dir, gate, metrics),
            wait_seconds=settings.startup_seconds,
        )
        app = create_app(self.name, startup, gate, metrics, max_body_bytes=settings.max_body_bytes)
        app.wsgi_app = with_bearer(  # type: ignore[method-assign,assignment]
            app.wsgi_app, settings.accepted_tokens(), metrics.count_refused
        )
        return app, startup, metrics


@contextmanager
def open_service(
    name: str, settings: Settings, data_dir: Path, gate: Gate, metrics: FunctionMetrics
) -> Iterator[Service]:
    """Load, warm and connect function *name*; leaving closes what connecting opened."""
    started = perf_counter()
    version = Repository(settings.home / "models").find(settings.model)
    backend = create_backend(settings.backend, threads=settings.threads)
    preloaded = preload_s3() if settings.s3_enabled else None
    preload_window(settings.dedup.get_secret_value())
    warmed = warm(
        load(version, backend), limits=_limits(settings), top_k=settings.top_k, turn=gate.turn
    )
    # The snapshot point: what is above runs once per image, what is below once per clone.
    with connect(warmed, name, settings, metrics, preloaded) as subscriber:
        _log.info("%s is ready after %.1f s", name, perf_counter() - started)
        yield Service(
            classifier=warmed.classifier,
            gallery=Gallery(data_dir, settings.default_image),
            metrics=metrics,
            subscriber=subscriber,
        )


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


def load_function(folder: FunctionFolder) -> Function:
    """Import the target file of *folder* and return its `function`.

    Raises:
        FunctionInvalid: the file cannot be imported, or defines no `function`.
    """
    name = f"rookery_function_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder.target)
    if spec is None or spec.loader is None:
        raise FunctionInvalid(f"{folder.target} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        # Somebody else's code: whatever it raises, the operator needs to hear which file it was.
        del sys.modules[name]
        raise FunctionInvalid(
            f"{folder.target} cannot be imported: {type(exc).__name__}: {exc}"
        ) from exc
    function = getattr(module, "function", None)
    if not isinstance(function, Function):
        raise FunctionInvalid(
            f"{folder.target} must define `function = Function({folder.name!r}, folder=...)`"
        )
    return function


def _limits(settings: Settings) -> ImageLimits:
    return ImageLimits(
        max_bytes=settings.max_body_bytes,
        max_pixels=settings.max_pixels,
        formats=settings.formats,
    )


def _connect_store(
    settings: Settings, preloaded: Preloaded | None, connections: ExitStack
) -> ObjectStore:
    store = connect_s3(
        endpoint=str(settings.s3_endpoint_url) if settings.s3_endpoint_url else None,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        access_key_file=settings.s3_access_key_file,
        secret_key_file=settings.s3_secret_key_file,
        ca_file=settings.s3_ca_file,
        concurrency=settings.concurrency + settings.queue,
        preloaded=preloaded,
    )
    connections.callback(store.close)
    return store


def _connect_sink(settings: Settings, connections: ExitStack) -> Sink | None:
    if settings.sink is None:
        return None
    sink = connect_sink(
        str(settings.sink),
        overrides=settings.ce_overrides,
        concurrency=settings.concurrency + settings.queue,
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
