"""Results as objects: one per version of an image, so that a listing shows what is done.

The name of a result follows from what an event says and from what a listing says alike:

    <prefix><bucket>/<object key>/<entity tag>.json          classified
    <prefix><bucket>/<object key>/<entity tag>.failed.json   never can be
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from rookery.errors import ObjectGone, StorageUnavailable
from rookery.events.result import COMPLETED, FAILED
from rookery.events.selection import MAX_KEY_BYTES
from rookery.events.wire import STRUCTURED, CloudEvent, to_structured
from rookery.storage.protocol import ObjectStore

COMPLETED_SUFFIX: Final = ".json"
FAILED_SUFFIX: Final = ".failed.json"
_SUFFIXES: Final[Mapping[str, str]] = {COMPLETED: COMPLETED_SUFFIX, FAILED: FAILED_SUFFIX}
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")
# A failure of an event that names neither entity tag nor version: no listing can find it again.
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class ResultsPlace:
    """Where results are kept: a bucket, and what every key begins with there."""

    bucket: str
    prefix: str

    def holds(self, bucket: str, key: str) -> bool:
        """Whether *key* of *bucket* is a result, or would be taken for one."""
        return bucket == self.bucket and key.startswith(self.prefix)

    def folder(self, bucket: str) -> str:
        """Return what the names of all results for *bucket* begin with."""
        return f"{self.prefix}{bucket}/"

    def stem(self, bucket: str, key: str, stamp: str) -> str:
        """Return the name of a result without its suffix.

        A name that would be longer than S3 allows keeps the start of the object key, and has the
        SHA-256 of all of it in its last part: `<start of the key>/<sha256>=<stamp>`. No other
        name holds a `=` there.

        Args:
            bucket: the bucket of the image.
            key: its object key.
            stamp: its entity tag, or what stands for it.
        """
        folder = self.folder(bucket)
        stamp = stamp if _PLAIN.fullmatch(stamp) else quote(stamp, safe="").replace(".", "%2E")
        stem = f"{folder}{key}/{stamp}"
        if len(stem.encode()) + len(FAILED_SUFFIX) <= MAX_KEY_BYTES:
            return stem
        if len(stamp) > len(_digest("")):
            stamp = _digest(stamp)
        last = f"/{_digest(key)}={stamp}"
        room = MAX_KEY_BYTES - len((folder + last + FAILED_SUFFIX).encode())
        start = key.encode()[: max(0, room)].decode(errors="ignore")
        return f"{folder}{start}{last}"


class ResultsStore:
    """A `Sink` that keeps result events as objects; a repeat replaces its first."""

    def __init__(self, store: ObjectStore, place: ResultsPlace) -> None:
        """Keep results at *place* in *store*."""
        self._store = store
        self._place = place

    def holds(self, bucket: str, key: str) -> bool:
        """Whether *key* of *bucket* is one of the results themselves."""
        return self._place.holds(bucket, key)

    def send(self, event: CloudEvent) -> None:
        """Keep *event*, a `completed` or a `failed` one, whole and in structured mode.

        Raises:
            StorageUnavailable, StorageDenied: a retry may succeed.
        """
        name = self._place.stem(*_object_of(event)) + _SUFFIXES[event.type]
        _, body = to_structured(event)
        try:
            self._store.write(self._place.bucket, name, body, content_type=STRUCTURED)
        except ObjectGone as exc:
            # The event is good, and whoever runs this can make the bucket: it must not be lost.
            raise StorageUnavailable(
                f"no result can be kept: {exc}; see that the bucket {self._place.bucket!r} "
                "exists, and that it is what ROOKERY_RESULTS_BUCKET should name"
            ) from exc


def _object_of(event: CloudEvent) -> tuple[str, str, str]:
    document = event.json()
    obj = document.get("object") if isinstance(document, dict) else None
    if not isinstance(obj, dict):
        raise TypeError(f"event {event.id!r} is no result: its data has no object")
    return obj["bucket"], obj["key"], obj["etag"] or obj["version"] or _UNKNOWN


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
