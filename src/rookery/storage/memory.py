"""An object store in memory: for tests, and wherever a bucket need not outlive the process."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rookery.errors import ObjectGone, ObjectReplaced, ObjectTooLarge
from rookery.storage.protocol import ListedObject, ListedPage, StoredObject


@dataclass(frozen=True, slots=True)
class _Version:
    data: bytes
    described: ListedObject


class MemoryStore:
    """Buckets that keep every version of every object; version ids count from `1` per key.

    Says what they hold, too.
    """

    def __init__(
        self, *buckets: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Create *buckets*, empty; *clock* dates what is stored."""
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, dict[str, list[_Version]]] = {name: {} for name in buckets}

    def read(
        self,
        bucket: str,
        key: str,
        *,
        version: str | None,
        max_bytes: int,
        etag: str | None = None,
    ) -> StoredObject:
        """Return the object, as the port says."""
        with self._lock:
            found = self._find(bucket, key, version)
        if etag not in {None, found.described.etag}:
            raise ObjectReplaced(f"{bucket}/{key} has another entity tag than {etag!r}")
        if len(found.data) > max_bytes:
            raise ObjectTooLarge(
                f"{bucket}/{key} has {len(found.data):,} bytes, the limit is {max_bytes:,}"
            )
        return StoredObject(found.data, found.described.etag)

    def write(self, bucket: str, key: str, data: bytes, *, content_type: str) -> None:
        """Store *data* as the newest version of *key*; the content type is not kept."""
        del content_type
        kept = bytes(data)
        etag = hashlib.md5(kept, usedforsecurity=False).hexdigest()
        with self._lock:
            versions = self._objects(bucket).setdefault(key, [])
            described = ListedObject(
                key, etag, len(kept), self._clock(), version=str(len(versions) + 1)
            )
            versions.append(_Version(kept, described))

    def delete(self, bucket: str, key: str) -> None:
        """Forget *key* and its versions; forgetting what is not there is no error."""
        with self._lock:
            self._objects(bucket).pop(key, None)

    def versions(self, bucket: str, key: str) -> tuple[str, ...]:
        """Return the version ids of *key*, oldest first."""
        with self._lock:
            return tuple(str(n + 1) for n in range(len(self._objects(bucket).get(key, ()))))

    def page(
        self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> ListedPage:
        """Return the next objects, as the port says."""
        with self._lock:
            objects = self._objects(bucket)
            keys = sorted(key for key in objects if key.startswith(prefix) and key > after)
            newest = [objects[key][-1].described for key in keys[:limit]]
        return ListedPage(
            tuple(replace(one, version=None) for one in newest), more=len(keys) > limit
        )

    def find(self, bucket: str, key: str) -> ListedObject | None:
        """Return the newest version of *key*, as the port says."""
        with self._lock:
            versions = self._buckets.get(bucket, {}).get(key)
            return versions[-1].described if versions else None

    def _find(self, bucket: str, key: str, version: str | None) -> _Version:
        versions = self._objects(bucket).get(key, [])
        if not versions:
            raise ObjectGone(f"bucket {bucket!r} has no object {key!r}")
        if version is None:
            return versions[-1]
        if not version.isdecimal() or not 1 <= int(version) <= len(versions):
            raise ObjectGone(f"{bucket}/{key} has no version {version!r}")
        return versions[int(version) - 1]

    def _objects(self, bucket: str) -> dict[str, list[_Version]]:
        if bucket not in self._buckets:
            raise ObjectGone(f"there is no bucket {bucket!r}")
        return self._buckets[bucket]
