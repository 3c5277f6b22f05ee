"""Which objects of a bucket one run looks at."""

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from rookery.errors import RequestInvalid
from rookery.storage.protocol import ListedObject
from rookery.storage.results import ResultsPlace


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal parts, by the key's checksum: neighbors are spread over all of them.

    Attributes:
        index: which one, 1 to *count*.
        count: how many there are.
    """

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `INDEX/COUNT`, such as `2/8`.

        Raises:
            RequestInvalid: *text* is something else.
        """
        index, _, count = text.partition("/")
        if index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count):
            return cls(int(index), int(count))
        raise RequestInvalid(f"a shard is INDEX/COUNT, from 1/COUNT to COUNT/COUNT, not {text!r}")

    def takes(self, key: str) -> bool:
        """Whether *key* belongs to this part."""
        return self.count == 1 or zlib.crc32(key.encode()) % self.count == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True)
class Scope:
    """The objects that one run looks at.

    Attributes:
        bucket: where they are.
        prefix: what their keys begin with.
        since: the earliest time they were stored, or None.
        until: the latest one: the notification of a later object may still be on its way.
        shard: which part of them.
        results: where results are kept, whose own objects are left out; or None.
    """

    bucket: str
    until: datetime
    prefix: str = ""
    since: datetime | None = None
    shard: Shard = Shard()
    results: ResultsPlace | None = None

    def takes(self, obj: ListedObject) -> bool:
        """Whether *obj* is to be looked at."""
        return (
            obj.modified <= self.until
            and (self.since is None or obj.modified >= self.since)
            and self.shard.takes(obj.key)
            and (self.results is None or not self.results.holds(self.bucket, obj.key))
        )
