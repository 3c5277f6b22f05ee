"""The environment with Intel's extension, and the same TensorFlow without it."""

import os
from pathlib import Path

import pytest

from rookery.backends.itex import find_interpreter

ROOT = Path(__file__).parents[2]


def usable_itex() -> Path:
    """Return the Python that `scripts/install-itex` made; skip the test where there is none."""
    python = find_interpreter(Path(os.environ.get("ROOKERY_HOME") or ROOT / ".rookery"))
    if python is None:
        pytest.skip("Intel Extension for TensorFlow is not installed; run: scripts/install-itex")
    return python


def without_plugin(python: Path, folder: Path) -> dict[str, str]:
    """Return an environment in which *python* finds TensorFlow in *folder*, through a link.

    TensorFlow loads the plugins beside it, but only where it lies in `site-packages`.
    """
    (package,) = python.parent.parent.glob("lib/python*/site-packages/tensorflow")
    (folder / "tensorflow").symlink_to(package)
    return {**os.environ, "PYTHONPATH": str(folder)}
