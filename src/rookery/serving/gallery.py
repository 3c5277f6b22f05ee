"""The images that GET ?imageName= may name: the files of one folder, and nothing above it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rookery.errors import Misconfigured

_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})


@dataclass(frozen=True, slots=True)
class Gallery:
    """A folder of images, addressed by file name with or without its suffix.

    Attributes:
        folder: the folder; only files directly inside it are served.
        default: the image's name that answers when none or an unknown one is asked for.
    """

    folder: Path
    default: str

    def read(self, name: str | None) -> tuple[str, bytes]:
        """Return the file name and the bytes of the image called *name*, or of the default.

        The name is looked up among the folder's own entries, never joined to a path, so there is
        nothing to traverse.

        Raises:
            Misconfigured: neither that image nor the default exists.
        """
        images = self._images()
        path = images.get(name or "") or images.get(self.default)
        if path is None:
            raise Misconfigured(
                f"the default image {self.default!r} is not in {self.folder}; "
                "put it there, or set ROOKERY_DATA_DIR and ROOKERY_DEFAULT_IMAGE"
            )
        return path.name, path.read_bytes()

    def _images(self) -> dict[str, Path]:
        """Every image by its stem and by its full name; a full name wins."""
        try:
            paths = sorted(
                path
                for path in self.folder.iterdir()
                if path.suffix.lower() in _SUFFIXES and path.is_file()
            )
        except OSError:
            return {}
        by_stem = {path.stem: path for path in reversed(paths)}
        return by_stem | {path.name: path for path in paths}
