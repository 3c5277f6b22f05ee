"""The backends by name; a backend's library is imported when it loads its first model."""

from collections.abc import Callable
from typing import Final

from rookery.backends.fixed import FixedBackend
from rookery.backends.openvino import OpenVinoBackend
from rookery.backends.protocol import Backend
from rookery.backends.tensorflow import TensorFlowBackend
from rookery.errors import BackendMissing

_FACTORIES: Final[dict[str, Callable[[int | None], Backend]]] = {
    "fixed": lambda threads: FixedBackend(),  # noqa: ARG005 - it computes nothing
    "openvino": OpenVinoBackend,
    "tensorflow": TensorFlowBackend,
}


def backend_names() -> tuple[str, ...]:
    """Return the names `create_backend` knows."""
    return tuple(sorted(_FACTORIES))


def create_backend(name: str, *, threads: int | None = None) -> Backend:
    """Return the backend called *name*.

    *threads* is how many threads compute one batch; None leaves it to the library, which takes
    all cores.

    Raises:
        BackendMissing: there is no backend of that name.
    """
    factory = _FACTORIES.get(name)
    if factory is None:
        raise BackendMissing(f"there is no backend {name!r}; choose {', '.join(backend_names())}")
    return factory(threads)
