"""The port to an object store."""

from typing import Protocol


class ObjectStore(Protocol):
    """Reads and writes whole objects.

    Implementations are safe to call from many threads at once. Every method raises
    `StorageUnavailable` when the store does not answer or answers with a server error, and
    `StorageDenied` when it refuses the credentials.
    """

    def read(self, bucket: str, key: str, *, version: str | None, max_bytes: int) -> bytes:
        """Return the object's bytes; *version* None means the newest.

        Raises:
            ObjectGone: there is no such bucket, key or version.
            ObjectTooLarge: the object is longer than *max_bytes*; at most *max_bytes* + 1
                bytes are read before this is known.
        """
        ...

    def write(self, bucket: str, key: str, data: bytes, *, content_type: str) -> None:
        """Store *data* under *key*, replacing what is there.

        Raises:
            ObjectGone: there is no such bucket.
        """
        ...
