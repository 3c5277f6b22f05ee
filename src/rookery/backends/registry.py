"""The backends by name; a backend's library is imported when it loads its first model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rookery.backends.fixed import FixedBackend
from rookery.backends.itex import ItexBackend, import_itex
from rookery.backends.opencv import OpenCvBackend, import_opencv
from rookery.backends.openvino import OpenVinoBackend, import_openvino
from rookery.backends.options import Options
from rookery.backends.protocol import Backend
from rookery.backends.savedmodel import import_tensorflow
from rookery.backends.tensorflow import (
    FrozenTensorFlowBackend,
    TensorFlowBackend,
    XlaTensorFlowBackend,
)
from rookery.errors import BackendMissing


@dataclass(frozen=True, slots=True)
class _Registered:
    """A backend that exists: how it is made, and how its library alone is imported."""

    create: Callable[[Options], Backend]
    import_library: Callable[[], object]


_BACKENDS: Final = {
    "fixed": _Registered(lambda options: FixedBackend(), lambda: None),  # noqa: ARG005 - it computes nothing
    "opencv": _Registered(OpenCvBackend, import_opencv),
    "itex": _Registered(ItexBackend, import_itex),
    "openvino": _Registered(OpenVinoBackend, import_openvino),
    "tensorflow": _Registered(TensorFlowBackend, import_tensorflow),
    "tensorflow-frozen": _Registered(FrozenTensorFlowBackend, import_tensorflow),
    "tensorflow-xla": _Registered(XlaTensorFlowBackend, import_tensorflow),
}


def backend_names() -> tuple[str, ...]:
    """Return the names `create_backend` knows."""
    return tuple(sorted(_BACKENDS))


def create_backend(name: str, options: Options | None = None) -> Backend:
    """Return the backend called *name*, to run models as *options*, or the defaults, say.

    Raises:
        BackendMissing: there is no backend of that name.
    """
    return _registered(name).create(options or Options())


def import_library(name: str) -> None:
    """Import the library of the backend called *name*, which is what loading begins with.

    Raises:
        BackendMissing: there is no backend of that name, or its library is not installed.
    """
    _registered(name).import_library()


def _registered(name: str) -> _Registered:
    registered = _BACKENDS.get(name)
    if registered is None:
        raise BackendMissing(f"there is no backend {name!r}; choose {', '.join(backend_names())}")
    return registered
