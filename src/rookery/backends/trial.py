"""Runs one backend in a process of its own: what it costs from nothing, and what it answers."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.backends.options import Options
from rookery.errors import BackendFailed, BackendMissing, ModelInvalid
from rookery.models.card import dump
from rookery.models.repository import ModelVersion

# The files that the two processes leave for each other, in a folder that lives as long as a trial.
REQUEST_FILE: Final = "request.json"
BATCH_FILE: Final = "batch.npy"
RESULT_FILE: Final = "result.json"
SCORES_FILE: Final = "scores.npy"

_ERRORS: Final = {error.__name__: error for error in (BackendMissing, ModelInvalid, BackendFailed)}


@dataclass(frozen=True, slots=True)
class Trial:
    """What one backend did in a process that did nothing else.

    Attributes:
        backend: its name.
        import_ms: importing its library.
        load_ms: loading the model, with whatever is compiled for it.
        first_ms: the first image.
        median_ms: the median of the timed calls, each with a whole batch.
        resident_bytes: the memory of the process after them all.
        scores: probabilities of shape (images, classes), each image run alone.
    """

    backend: str
    import_ms: float
    load_ms: float
    first_ms: float
    median_ms: float
    resident_bytes: int
    scores: NDArray[np.float32]


def run_trial(  # noqa: PLR0913 - each is a choice of its own
    version: ModelVersion,
    backend: str,
    batch: NDArray[np.float32],
    options: Options,
    *,
    calls: int = 20,
    batch_size: int = 1,
    python: Path | None = None,
    environ: Mapping[str, str] | None = None,
    seconds: float = 300,
) -> Trial:
    """Load *version* with *backend* in a new process, run the images of *batch*, and time it.

    Args:
        version: the model; its files are not verified here.
        backend: a name that `create_backend` knows.
        batch: at least one normalized image, shape (images, height, width, 3).
        options: how the backend is to run it.
        calls: how many calls are timed, after every image was run once.
        batch_size: how many images each timed call takes; those of *batch*, over and over.
        python: the interpreter, where the backend has an environment of its own.
        environ: the environment of the process; ours without it.
        seconds: how long all of it may take.

    Raises:
        BackendMissing: the library is not installed.
        ModelInvalid: the backend cannot load the model.
        BackendFailed: it raised an error, crashed, or took too long.
    """
    with TemporaryDirectory(prefix="rookery-trial-") as name:
        folder = Path(name)
        request = {
            "backend": backend,
            "directory": str(version.directory.absolute()),
            "card": dump(version.card),
            "options": asdict(options)
            | {"cache": None if options.cache is None else str(options.cache.absolute())},
            "calls": calls,
            "batch_size": batch_size,
        }
        (folder / REQUEST_FILE).write_text(json.dumps(request), encoding="utf-8")
        np.save(folder / BATCH_FILE, batch, allow_pickle=False)
        # -P: a folder named rookery in the current one is not the package.
        command = [str(python or sys.executable), "-P", "-m", "rookery.backends.trial_child", name]
        try:
            ended = subprocess.run(  # noqa: S603 - our own program
                command,
                env=None if environ is None else dict(environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise BackendFailed(f"{backend} did not finish its trial within {seconds:g} s") from exc
        except OSError as exc:
            raise BackendMissing(
                f"the interpreter of {backend}, {command[0]}, cannot be started: {exc.strerror}"
            ) from exc
        return _read(folder, backend, ended)


def _read(folder: Path, backend: str, ended: "subprocess.CompletedProcess[bytes]") -> Trial:
    try:
        result = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise BackendFailed(f"{backend} {_end(ended)}") from exc
    if "error" in result:
        raise _ERRORS[result["error"]](result["message"])
    return Trial(
        backend=backend,
        scores=np.load(folder / SCORES_FILE, allow_pickle=False),
        **result,
    )


def _end(ended: "subprocess.CompletedProcess[bytes]") -> str:
    """Say how a process ended that left no result."""
    if ended.returncode < 0:
        number = -ended.returncode
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        memory = ", as it is when memory ends" if number == signal.SIGKILL else ""
        return f"crashed in its trial ({name}{memory})"
    last = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return f"ended its trial with exit code {ended.returncode}: {last or 'no message'}"
