"""The backends by name; a backend's library is imported when it loads its first model."""

from collections.abc import Callable
from typing import Final

from rookery.backends.fixed import FixedBackend
from rookery.backends.openvino import OpenVinoBackend
from rookery.backends.options import Options
from rookery.backends.protocol import Backend
from rookery.backends.tensorflow import TensorFlowBackend
from rookery.errors import BackendMissing

_DEFAULT: Final = Options()
_FACTORIES: Final[dict[str, Callable[[Options], Backend]]] = {
    "fixed": lambda options: FixedBackend(),  # noqa: ARG005 - it computes nothing
    "openvino": OpenVinoBackend,
    "tensorflow": TensorFlowBackend,
}


def backend_names() -> tuple[str, ...]:
    """Return the names `create_backend` knows."""
    return tuple(sorted(_FACTORIES))


def create_backend(name: str, options: Options = _DEFAULT) -> Backend:
    """Return the backend called *name*, to run models as *options* say.

    Raises:
        BackendMissing: there is no backend of that name.
    """
    factory = _FACTORIES.get(name)
    if factory is None:
        raise BackendMissing(f"there is no backend {name!r}; choose {', '.join(backend_names())}")
    return factory(options)
