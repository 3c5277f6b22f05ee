"""Images in files: which of what a user names are images, and one of them as a model's input."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rookery.errors import ImageError, ImageTooLarge, ImageUndecodable
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing

_log = logging.getLogger(__name__)

_SUFFIXES: Final = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})


def find_images(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the files of *paths*, and those below its folders that are named like images.

    Those of a folder are in the order of their paths; hidden ones are left out.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(file for file in path.rglob("*") if _is_image(file, path)))
        else:
            found.append(path)
    return tuple(found)


def evenly(images: Sequence[Path], at_most: int) -> tuple[Path, ...]:
    """Return *at_most* of *images*, as many from each of their folders as its share."""
    count = min(at_most, len(images))
    return tuple(images[index * len(images) // count] for index in range(count))


def read_instance(path: Path, target: Preprocessing, limits: ImageLimits) -> NDArray[np.float32]:
    """Return the image in the file at *path* as *target* wants it, shape (height, width, 3).

    Raises:
        ImageError: it cannot be read, is no image, or a larger one than *limits* allow.
    """
    try:
        if (length := path.stat().st_size) > limits.max_bytes:
            raise ImageTooLarge(f"{path} is {length:,} bytes, the limit is {limits.max_bytes:,}")
        data = path.read_bytes()
    except OSError as exc:
        raise ImageUndecodable(f"{path} cannot be read: {exc.strerror or exc}") from exc
    try:
        return normalize(decode(data, target, limits).pixels, target)
    except ImageError as exc:
        raise type(exc)(f"{path}: {exc}") from exc


def read_if_usable(
    path: Path, target: Preprocessing, limits: ImageLimits
) -> NDArray[np.float32] | None:
    """Return what `read_instance` does; None, and a warning in the log, where it cannot be used."""
    try:
        return read_instance(path, target, limits)
    except ImageError as exc:
        _log.warning("left out: %s", exc)
        return None


def _is_image(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.suffix.lower() in _SUFFIXES and not hidden and file.is_file()
