"""The ports to an object store: one for single objects, one for what a bucket holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The bytes of an object, as they were at one moment.

    Attributes:
        data: all of them.
        etag: the entity tag they had, without quotes, or None where the store names none.
    """

    data: bytes
    etag: str | None = None


class ObjectStore(Protocol):
    """Reads and writes whole objects.

    Implementations are safe to call from many threads at once. Every method raises
    `StorageUnavailable` when the store does not answer or answers with a server error, and
    `StorageDenied` when it refuses the credentials.
    """

    def read(
        self,
        bucket: str,
        key: str,
        *,
        version: str | None,
        max_bytes: int,
        etag: str | None = None,
    ) -> StoredObject:
        """Return the object; *version* None means the newest.

        Raises:
            ObjectGone: there is no such bucket, key or version.
            ObjectReplaced: *etag* is given, and the object has another entity tag by now.
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


@dataclass(frozen=True, slots=True)
class ListedObject:
    """What a bucket says about an object it holds.

    Attributes:
        key: the object key, decoded.
        etag: the entity tag, without quotes.
        size: bytes.
        modified: when this version was stored, by the store's clock, with a time zone.
        version: the version id; None from a page, and where the bucket keeps no versions.
    """

    key: str
    etag: str
    size: int
    modified: datetime
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ListedPage:
    """Some objects in the order of their keys, and whether there are more behind them."""

    objects: tuple[ListedObject, ...]
    more: bool


class ObjectListing(Protocol):
    """Says what a bucket holds: the newest version of each object.

    Keys are ordered by their UTF-8 bytes, which is the order of Python's strings. Implementations
    are safe to call from many threads at once, and raise `StorageUnavailable` and `StorageDenied`
    as `ObjectStore` does.
    """

    def page(
        self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> ListedPage:
        """Return the first objects, at most *limit*, whose keys come after *after*.

        Any text will do as *after*, whether it is a key or not; pages need no memory of each other.

        Raises:
            ObjectGone: there is no such bucket.
        """
        ...

    def find(self, bucket: str, key: str) -> ListedObject | None:
        """Return the newest version of *key*, or None where there is none.

        Its time may be cut to whole seconds.
        """
        ...
