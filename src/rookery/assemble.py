"""The composition root of a function: settings in, a running function out.

The only module of a function that names technologies; the commands are the roots of the rest.
"""

import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from flask import Flask, Request
from werkzeug.wrappers import Response

from rookery.connections import connect
from rookery.errors import FunctionInvalid, RookeryError
from rookery.function_folder import FunctionFolder
from rookery.logs import configure_logs
from rookery.preparation import Prepared, prepare, rehearse
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
from rookery.serving.unread import discard
from rookery.settings import Settings

_log = logging.getLogger(__name__)

# Probes and metrics are answered while every admitted request holds a thread.
_SPARE_THREADS: Final = 4


@dataclass(slots=True)
class Application:
    """A function's HTTP application: built before the snapshot point, opened after it.

    Attributes:
        app: the routes.
        startup: opens the service behind them.
        metrics: its counters, which nothing has touched yet.
        gate: how many requests may be inside.
        settings: what it is opened with; after a restore, those of the place it woke up in.
        prepared: the warmed function; None where that is still to be done.
    """

    app: Flask
    startup: Startup[Service]
    metrics: FunctionMetrics
    gate: Gate
    settings: Settings
    prepared: Prepared | None = None


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
                    self._app = self._guarded(self._assemble(Settings.read()))
                except RookeryError as error:
                    _log.error("%s: %s", error.code, error)
                    return to_refusal(error)
        response = Response.from_app(self._app.wsgi_app, request.environ)
        discard(request.environ["wsgi.input"])
        return response

    def prepare(self, settings: Settings) -> Application:
        """Load, warm, rehearse and build, up to the snapshot point: no socket is opened for it.

        Raises:
            RookeryError: loading or warming failed.
        """
        started = perf_counter()
        application = self._assemble(settings)
        application.prepared = prepare(settings, application.gate, s3=True)
        rehearse(self.name, settings, application.prepared)
        _log.info("%s is warm after %.1f s", self.name, perf_counter() - started)
        return application

    def serve(
        self,
        settings: Settings,
        *,
        on_listening: Callable[[str], None],
        application: Application | None = None,
    ) -> None:
        """Serve until SIGTERM or SIGINT, then drain.

        Args:
            settings: what to serve by.
            on_listening: called with the URL once the port is bound.
            application: what `prepare` returned; else that is done behind the bound port.

        Raises:
            PortTaken: the address cannot be listened on.
            RookeryError: loading, warming or connecting failed.
        """
        if application is None:
            application = self._assemble(settings)
        application.settings = settings
        startup = application.startup
        server = Server(
            self._guarded(application),
            host=settings.host,
            port=settings.port,
            threads=application.gate.capacity + _SPARE_THREADS,
            max_body_bytes=settings.max_body_bytes,
            drain_seconds=settings.drain_seconds,
            on_refused=application.metrics.count_refused,
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

    def _assemble(self, settings: Settings) -> Application:
        metrics = FunctionMetrics()
        gate = Gate(concurrency=settings.images_at_once(), queue=settings.queue)
        startup = Startup(
            lambda: self._open(application),
            wait_seconds=settings.startup_seconds,
            on_ready=lambda seconds: _log.info("%s is ready after %.1f s", self.name, seconds),
        )
        app = create_app(self.name, startup, gate, metrics, max_body_bytes=settings.max_body_bytes)
        application = Application(app, startup, metrics, gate, settings)
        return application

    @contextmanager
    def _open(self, application: Application) -> Iterator[Service]:
        settings, metrics = application.settings, application.metrics
        prepared = application.prepared or prepare(
            settings, application.gate, s3=settings.s3_enabled
        )
        # The snapshot point: what is above runs once per image, what is below once per clone.
        with connect(
            prepared.warmed,
            self.name,
            settings,
            metrics,
            prepared.preloaded,
            capacity=application.gate.capacity,
        ) as subscriber:
            yield Service(
                classifier=prepared.warmed.classifier,
                gallery=Gallery(settings.data_dir or self._folder / "data", settings.default_image),
                metrics=metrics,
                subscriber=subscriber,
            )

    @staticmethod
    def _guarded(application: Application) -> Flask:
        """Let in only those with a token that the settings accept."""
        app = application.app
        app.wsgi_app = with_bearer(  # type: ignore[method-assign,assignment]
            app.wsgi_app,
            application.settings.accepted_tokens(),
            application.metrics.count_refused,
        )
        return app


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
