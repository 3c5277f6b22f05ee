"""A folder of compiled models: what a backend worked out once, for the next process to load."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import xxhash

_log = logging.getLogger(__name__)

_SUFFIX: Final = ".compiled"
# Each is about as large as its model, and is used no more once the model or a library is another.
_KEPT: Final = 16
_DIGEST_BYTES: Final = 16


class CompiledModels:
    """Compiled models by key. Any number of processes may read and write at once.

    Nothing here is an error: what cannot be read is compiled again, what cannot be written is
    said once in the log. Every file begins with a digest of the rest, because a library may take
    a damaged one and answer nonsense.
    """

    def __init__(self, folder: Path) -> None:
        """Keep files in *folder*, which need not exist yet."""
        self._folder = folder

    def read(self, key: str) -> bytes | None:
        """Return what was written as *key*, a file's name; None where it is absent or damaged."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            _log.warning("%s cannot be read: %s", path, exc.strerror)
            return None
        blob = data[_DIGEST_BYTES:]
        if data[:_DIGEST_BYTES] != xxhash.xxh3_128_digest(blob):
            _log.warning("%s is damaged; the model is compiled again", path)
            return None
        return blob

    def write(self, key: str, blob: bytes) -> None:
        """Keep *blob* as *key*, and of all there is only what was written last."""
        path = self._path(key)
        # Renamed into its place: a reader sees all of it or nothing.
        incoming = path.with_name(f".{uuid4().hex}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with incoming.open("wb") as file:
                    file.write(xxhash.xxh3_128_digest(blob))
                    file.write(blob)
                incoming.replace(path)
            finally:
                incoming.unlink(missing_ok=True)
            self._forget_the_oldest()
        except OSError as exc:
            _log.warning(
                "compiled models are not kept: %s cannot be written (%s); name another folder, or "
                "off, in ROOKERY_MODEL_CACHE",
                self._folder, exc.strerror,
            )  # fmt: skip

    def _forget_the_oldest(self) -> None:
        found = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):  # another process forgets it, too
                found.append((path.stat().st_mtime_ns, path))
        for _, path in sorted(found)[:-_KEPT]:
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"
