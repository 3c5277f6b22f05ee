"""An object store in memory: for tests, and wherever a bucket need not outlive the process."""

import threading

from rookery.errors import ObjectGone, ObjectTooLarge


class MemoryStore:
    """Buckets that keep every version of every object; version ids count from `1` per key."""

    def __init__(self, *buckets: str) -> None:
        """Create *buckets*, empty."""
        self._lock = threading.Lock()
        self._buckets: dict[str, dict[str, list[bytes]]] = {name: {} for name in buckets}

    def read(self, bucket: str, key: str, *, version: str | None, max_bytes: int) -> bytes:
        """Return the object's bytes, as the port says."""
        with self._lock:
            data = self._find(bucket, key, version)
        if len(data) > max_bytes:
            raise ObjectTooLarge(
                f"{bucket}/{key} has {len(data):,} bytes, the limit is {max_bytes:,}"
            )
        return data

    def write(self, bucket: str, key: str, data: bytes, *, content_type: str) -> None:
        """Store *data* as the newest version of *key*; the content type is not kept."""
        del content_type
        with self._lock:
            self._objects(bucket).setdefault(key, []).append(bytes(data))

    def delete(self, bucket: str, key: str) -> None:
        """Forget *key* and its versions; forgetting what is not there is no error."""
        with self._lock:
            self._objects(bucket).pop(key, None)

    def versions(self, bucket: str, key: str) -> tuple[str, ...]:
        """Return the version ids of *key*, oldest first."""
        with self._lock:
            return tuple(str(n + 1) for n in range(len(self._objects(bucket).get(key, ()))))

    def _find(self, bucket: str, key: str, version: str | None) -> bytes:
        versions = self._objects(bucket).get(key, [])
        if not versions:
            raise ObjectGone(f"bucket {bucket!r} has no object {key!r}")
        if version is None:
            return versions[-1]
        if not version.isdecimal() or not 1 <= int(version) <= len(versions):
            raise ObjectGone(f"{bucket}/{key} has no version {version!r}")
        return versions[int(version) - 1]

    def _objects(self, bucket: str) -> dict[str, list[bytes]]:
        if bucket not in self._buckets:
            raise ObjectGone(f"there is no bucket {bucket!r}")
        return self._buckets[bucket]
