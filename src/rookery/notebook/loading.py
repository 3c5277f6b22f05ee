"""`load_model`: from a name to a model that answers."""

import logging
from pathlib import Path
from typing import Final

from rookery.backends.options import Options
from rookery.backends.registry import create_backend
from rookery.cpus import usable_cpus
from rookery.errors import ModelNotFound
from rookery.fastest import choose_fastest
from rookery.images.limits import ImageLimits
from rookery.lifecycle.phases import load, warm
from rookery.models.repository import ModelVersion, Repository
from rookery.notebook.model import Model
from rookery.settings import Settings, read_backend

_log = logging.getLogger(__name__)

# Pictures are the caller's own: only what would fill the memory is refused.
_MAX_BYTES: Final = 1024 * 1024 * 1024


def load_model(
    name: str,
    *,
    backend: str | None = None,
    threads: int | None = None,
    home: Path | str | None = None,
) -> Model:
    """Return the model *name*, or NAME/VERSION, loaded and warm.

    A model of the zoo that is not here and needs no download is made, which takes seconds, once.
    $ROOKERY_MODEL_CACHE and $ROOKERY_MAX_PIXELS are heeded as by a function.

    Args:
        name: as `rookery models list` shows it.
        backend: the library that runs it; without it $ROOKERY_BACKEND, or `auto`, which takes the
            fastest here and measures that once.
        threads: how many threads compute a picture, at least 1; every CPU this process may use
            without it.
        home: the folder with the models; without it $ROOKERY_HOME, or `.rookery` here.

    Raises:
        ModelNotFound: it is not here; the message says what to run.
        ModelInvalid: its files are damaged, or not for this backend.
        BackendMissing: there is no such backend, or its library is not installed.
        SettingsInvalid: one of these variables cannot be used.
        ValueError: *threads* is less than 1.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}; it must be at least 1, or None for every CPU")
    settings = Settings.read_only("ROOKERY_HOME", "ROOKERY_MODEL_CACHE", "ROOKERY_MAX_PIXELS")
    folder = (Path(home) if home is not None else settings.home).absolute()
    version = _find(name, folder)
    options = Options(
        threads=threads or usable_cpus(),
        cache=settings.model_copy(update={"home": folder}).compiled_models(),
    )
    chosen = backend or read_backend("auto")
    if chosen == "auto":
        chosen = choose_fastest(version, folder, options)
    loaded = load(version, create_backend(chosen, options))
    limits = ImageLimits(max_bytes=_MAX_BYTES, max_pixels=settings.max_pixels)
    warmed = warm(loaded, limits=limits, top_k=version.card.classes)
    return Model(warmed.classifier)


def _find(name: str, home: Path) -> ModelVersion:
    repository = Repository(home / "models")
    try:
        return repository.find(name)
    except ModelNotFound:
        from rookery.zoo.catalog import ZOO  # noqa: PLC0415 - not needed by a model of yours
        from rookery.zoo.pulled import pull  # noqa: PLC0415

        if name not in ZOO or not ZOO[name].is_offline:
            raise
        _log.info("making %s, once: this takes some seconds", name)
        version, _ = pull(name, repository, home / "downloads")
        return version
