"""Intel's extension of TensorFlow, in an environment of its own with the last one it was made for.

TensorFlow loads the extension by itself, as a plugin, wherever it is installed beside it: in that
environment every way of TensorFlow computes with it. This backend insists on it.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Final

from rookery.backends.protocol import LoadedModel
from rookery.backends.savedmodel import import_tensorflow
from rookery.backends.tensorflow import FrozenTensorFlowBackend
from rookery.errors import BackendMissing
from rookery.models.card import ModelCard

_PACKAGE: Final = "intel_extension_for_tensorflow"
_KERNELS: Final = "libitex_cpu_internal"  # one library for AVX2, one for AVX-512

# Read while TensorFlow is imported. Of its two thread pools the first, OpenMP's, has its size from
# a variable instead of TensorFlow's settings, a team for every thread that calls, and threads
# that spin between images.
_ENVIRON: Final = {"ITEX_OMP_THREADPOOL": "0", "ITEX_CPP_MIN_LOG_LEVEL": "2"}


class ItexBackend(FrozenTensorFlowBackend):
    """Runs the frozen graph: weights that are constants are laid out for the CPU only once."""

    name = "itex"

    def load(self, directory: Path, card: ModelCard) -> LoadedModel:
        """Load the model in *directory*.

        Raises:
            BackendMissing: the extension is not installed, or does not run here.
            ModelInvalid: no format TensorFlow reads is there, it is damaged, or does not fit
                *card*.
        """
        import_itex()
        return super().load(directory, card)


def import_itex() -> ModuleType:
    """Import TensorFlow with the extension, and see to it that it is in use.

    Raises:
        BackendMissing: it is not installed, or TensorFlow did not take it.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise BackendMissing(
            "Intel Extension for TensorFlow is not installed here: it needs an environment of its "
            "own; run: scripts/install-itex, then .rookery/itex/bin/rookery, "
            "or choose ROOKERY_BACKEND=openvino"
        )
    for name, value in _ENVIRON.items():
        os.environ.setdefault(name, value)
    tf = import_tensorflow()
    if _KERNELS not in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace"):
        raise BackendMissing(
            f"TensorFlow {tf.__version__} runs without Intel's extension: that is made for "
            "TensorFlow 2.15 on x86-64 with AVX2; run: scripts/install-itex"
        )
    return tf


def find_interpreter(home: Path) -> Path | None:
    """Return the Python that `scripts/install-itex` made below *home*; None where it did not."""
    python = home / "itex" / "bin" / "python"
    return python if python.is_file() else None
