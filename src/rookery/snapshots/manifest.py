"""`manifest.json`: what a snapshot directory holds, what it was made of, and its checksums.

Imported before a snapshot is woken, where every millisecond counts: so no dataclasses, and no
library but xxhash.
"""

import json
import os
from collections.abc import Iterable, Mapping

import xxhash

from rookery.errors import SnapshotInvalid
from rookery.snapshots import private

NAME = "manifest.json"
FORMAT = 1
MEMORY = "memory"
"""The file of pages that clones map instead of copying."""

_SUM = "sum"  # of the rest of the manifest
_CHUNK = 1 << 20
_BIG_BYTES = 1 << 20


class Manifest:
    """The description of one snapshot."""

    __slots__ = (
        "capabilities",
        "facts",
        "files",
        "folder",
        "frozen",
        "function",
        "made",
        "pipes",
        "sizes",
    )

    def __init__(  # noqa: PLR0913
        self,
        *,
        function: str,
        folder: str,
        made: str,
        facts: Mapping[str, str],
        frozen: Mapping[str, str],
        pipes: Mapping[str, str],
        sizes: Mapping[str, int],
        files: Mapping[str, tuple[int, str]],
        capabilities: int = 0,
    ) -> None:
        """Keep what is given.

        Args:
            function: the function's name.
            folder: the function's folder, absolute.
            made: when, as RFC 3339.
            facts: the key: what must be the same where it is woken, see `facts`.
            frozen: the settings and the model that were fixed when it was made.
            pipes: CRIU's names of the donor's standard streams, control and status pipe.
            sizes: what was measured while it was made.
            files: size in bytes and XXH3-128 of every file beside this one and, by absolute path,
                of those elsewhere that memory is mapped from.
            capabilities: what whoever wakes it needs to have as well, one bit each.
        """
        self.function = function
        self.folder = folder
        self.made = made
        self.facts = facts
        self.frozen = frozen
        self.pipes = pipes
        self.sizes = sizes
        self.files = files
        self.capabilities = capabilities


def write(directory: str, manifest: Manifest) -> None:
    """Write *manifest* into *directory*; last, because a directory without one is no snapshot."""
    fields = {"format": FORMAT, **{name: getattr(manifest, name) for name in Manifest.__slots__}}
    path = os.path.join(directory, NAME)
    with open(path, "w", encoding="utf-8", opener=private.opener) as file:
        json.dump({**fields, _SUM: _sum(fields)}, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def read(directory: str) -> Manifest:
    """Read the manifest of *directory*.

    Raises:
        SnapshotInvalid: there is none, or it is damaged or of another format.
    """
    path = os.path.join(directory, NAME)
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        if content["format"] != FORMAT:
            raise SnapshotInvalid(
                f"{directory} is a snapshot of format {content['format']}, not {FORMAT}; "
                "make a new one with: rookery snapshot create"
            )
        if content.pop(_SUM) != _sum(content):
            raise SnapshotInvalid(_damaged(path, "its checksum is wrong"))
        return Manifest(
            **{name: content[name] for name in Manifest.__slots__ if name != "files"},
            files={name: (size, digest) for name, (size, digest) in content["files"].items()},
        )
    except OSError as exc:
        raise SnapshotInvalid(
            f"{directory} is no snapshot: {NAME} cannot be read: {exc.strerror}; "
            "make one with: rookery snapshot create"
        ) from exc
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        if isinstance(exc, SnapshotInvalid):
            raise
        raise SnapshotInvalid(_damaged(path, f"{type(exc).__name__}: {exc}")) from exc


def is_ours(directory: str) -> bool:
    """Whether the manifest of *directory* is of a snapshot, be it damaged or of another format."""
    try:
        with open(os.path.join(directory, NAME), encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"format", "facts", _SUM} <= content.keys()


def sums(directory: str, elsewhere: Iterable[str] = ()) -> dict[str, tuple[int, str]]:
    """Return size and checksum of every file in *directory*, and of the paths *elsewhere*."""
    return {
        name: (os.path.getsize(path), _digest(path))
        for name in sorted([*os.listdir(directory), *elsewhere])
        if os.path.isfile(path := os.path.join(directory, name))
    }


def verify_small(directory: str, manifest: Manifest) -> None:
    """Check the sizes of all files, and the content of those that CRIU interprets.

    Raises:
        SnapshotInvalid: a file is missing, torn or changed.
    """
    for name, (size, digest) in manifest.files.items():
        try:
            found = os.stat(os.path.join(directory, name)).st_size
        except OSError as exc:
            raise SnapshotInvalid(_changed(directory, name, exc.strerror or str(exc))) from exc
        if found != size:
            raise SnapshotInvalid(_changed(directory, name, f"{found:,} bytes instead of {size:,}"))
        if size < _BIG_BYTES:
            _check(directory, name, digest)


def verify_big(directory: str, manifest: Manifest) -> None:
    """Check the content of the files that memory is mapped from, at the speed of memory.

    Raises:
        SnapshotInvalid: a file is damaged.
    """
    for name, (size, digest) in manifest.files.items():
        if size >= _BIG_BYTES:
            _check(directory, name, digest)


def _sum(fields: Mapping[str, object]) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(fields, sort_keys=True).encode())


def _check(directory: str, name: str, digest: str) -> None:
    try:
        found = _digest(os.path.join(directory, name))
    except OSError as exc:
        raise SnapshotInvalid(_changed(directory, name, exc.strerror or str(exc))) from exc
    if found != digest:
        raise SnapshotInvalid(_changed(directory, name, "its checksum is wrong"))


def _digest(path: str) -> str:
    summed = xxhash.xxh3_128()
    buffer = memoryview(bytearray(_CHUNK))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            summed.update(buffer[:count])
    return summed.hexdigest()


def _changed(directory: str, name: str, what: str) -> str:
    if os.path.isabs(name):
        return (
            f"{name} has changed since the snapshot was made, which maps its content: {what}; make "
            "a new one with: rookery snapshot create"
        )
    return _damaged(os.path.join(directory, name), what)


def _damaged(path: str, what: str) -> str:
    return f"{path} is damaged: {what}; make a new snapshot with: rookery snapshot create"
