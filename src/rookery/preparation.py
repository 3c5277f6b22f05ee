"""What a function does before its snapshot point: load, warm, and one request through everything.

Nothing here opens a socket or reads a credential.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from pydantic import SecretStr
from werkzeug.test import Client

from rookery.backends.options import Options
from rookery.backends.registry import create_backend
from rookery.connections import connect
from rookery.cpus import usable_cpus
from rookery.dedup.registry import preload as preload_window
from rookery.errors import BackendFailed
from rookery.fastest import choose_fastest
from rookery.images.limits import ImageLimits
from rookery.images.sample import sample_jpeg
from rookery.lifecycle.phases import Warmed, load, warm
from rookery.models.repository import Repository
from rookery.serving.app import create_app
from rookery.serving.gallery import Gallery
from rookery.serving.gate import Gate
from rookery.serving.metrics import FunctionMetrics
from rookery.serving.service import Service
from rookery.serving.startup import Startup
from rookery.settings import Settings
from rookery.storage.s3 import Preloaded
from rookery.storage.s3 import preload as preload_s3

# The second finds what the first left to do lazily.
_REQUESTS: Final = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A warmed function, before its snapshot point.

    Attributes:
        warmed: the classifier, bounded by *gate*.
        gate: how many requests may be inside.
        preloaded: what makes connecting to S3 quick; None where S3 is not used.
    """

    warmed: Warmed
    gate: Gate
    preloaded: Preloaded | None


def prepare(settings: Settings, gate: Gate, *, s3: bool) -> Prepared:
    """Load and warm the model that *settings* name, and what connecting will need.

    Raises:
        ModelNotFound, ModelInvalid, BackendMissing: the model cannot be used.
        BackendFailed: the model cannot answer.
    """
    version = Repository(settings.home / "models").find(settings.model)
    wanted = options(settings)
    auto = settings.backend == "auto"
    name = choose_fastest(version, settings.home, wanted) if auto else settings.backend
    backend = create_backend(name, wanted)
    preloaded = preload_s3() if s3 else None
    preload_window(settings.dedup.get_secret_value())
    limits = ImageLimits(
        max_bytes=settings.max_body_bytes,
        max_pixels=settings.max_pixels,
        formats=settings.formats,
    )
    warmed = warm(load(version, backend), limits=limits, top_k=settings.top_k, turn=gate.turn)
    return Prepared(warmed, gate, preloaded)


def options(settings: Settings) -> Options:
    """Return how a backend is to run the model of *settings*."""
    return Options(
        threads=settings.threads or usable_cpus(),
        performance=settings.performance,
        pin=settings.pin_threads,
        cache=settings.compiled_models(),
    )


def rehearse(name: str, settings: Settings, prepared: Prepared) -> None:
    """Answer requests through the whole HTTP application, without a server or a connection.

    What the first request of a process would import, compile and cache is then in the snapshot.

    Raises:
        BackendFailed: a request is not answered with 200.
    """
    alone = settings.model_copy(
        update={
            "s3_enabled": False,
            "results_bucket": None,
            "sink": None,
            "on_poison": "reject",
            "dedup": SecretStr("memory"),
        }
    )
    # The sample is ours: limits that would refuse it are meant for strangers.
    warmed = Warmed(replace(prepared.warmed.classifier, limits=ImageLimits()))
    image = sample_jpeg()
    metrics = FunctionMetrics()

    @contextmanager
    def open_alone() -> Iterator[Service]:
        capacity = prepared.gate.capacity
        with connect(warmed, name, alone, metrics, None, capacity=capacity) as subscriber:
            yield Service(
                classifier=warmed.classifier,
                gallery=Gallery(settings.home, settings.default_image),
                metrics=metrics,
                subscriber=subscriber,
            )

    startup = Startup(open_alone, wait_seconds=settings.startup_seconds)
    app = create_app(name, startup, prepared.gate, metrics, max_body_bytes=len(image))
    client = Client(app)
    with closing(startup):
        startup.begin()
        startup.wait()
        for _ in range(_REQUESTS):
            answer = client.post("/", input_stream=io.BytesIO(image), content_length=len(image))
            if answer.status_code != HTTPStatus.OK:
                raise BackendFailed(f"the rehearsal is answered {answer.status}: {answer.text}")
        client.get("/health/readiness")
        client.get("/metrics")
