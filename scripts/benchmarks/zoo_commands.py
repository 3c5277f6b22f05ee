"""Models made by the user's own commands, in a home of this checkout."""

import os
import subprocess
import sys
from pathlib import Path

from bare import HOME, find
from rookery.errors import ModelNotFound
from rookery.models.formats import formats
from rookery.models.repository import ModelVersion


def pulled(name: str, weights: str) -> ModelVersion | None:
    """Return *name*, made with such weights where it is not here; None where that fails."""
    version = newest(name)
    # One made by an older Rookery is not frozen; somebody's real weights are not replaced.
    ours = version is None or weights == "published" or version.card.source.startswith("random")
    if version is None or (ours and "frozen" not in formats(version.card)):
        run_rookery(HOME, "models", "pull", name, f"--weights={weights}")
    return newest(name)


def newest(name: str, home: Path = HOME) -> ModelVersion | None:
    """Return the newest version of *name* in *home*; None where there is none."""
    try:
        return find(name, home)
    except ModelNotFound:
        return None


def run_rookery(home: Path, *arguments: str) -> None:
    """Run a command in *home*, and say so; one that fails has said why."""
    print(f"  rookery {' '.join(arguments)}", file=sys.stderr, flush=True)
    command = (sys.executable, "-m", "rookery", *arguments)
    env = {**os.environ, "ROOKERY_HOME": str(home.absolute())}
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=False)
