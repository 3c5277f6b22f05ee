"""Which objects have a result, found out by listing the results beside them.

One request per object would be a million requests per million objects. Results are named so that
those of one page of objects lie close together: listing them from the first on finds nearly all in
one or two pages. But `a.jpg/…` sorts behind `a.jpg-1/…` although `a.jpg` sorts before `a.jpg-1`,
and results of objects that are gone may lie in between. So each listing starts right before the
first result that is still looked for, only so many are made, and what is left is asked for by name.
"""

import operator
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from rookery.storage.protocol import ListedObject, ObjectListing
from rookery.storage.results import COMPLETED_SUFFIX, FAILED_SUFFIX, ResultsPlace

State = Literal["done", "failed", "missing"]

# One page of objects has at most two pages of results; twice that finds them through some clutter.
_MOST_PAGES: Final = 4
_STATES: Final[tuple[tuple[str, State], ...]] = (
    (COMPLETED_SUFFIX, "done"),
    (FAILED_SUFFIX, "failed"),
)
# Some stores, and every HEAD, cut times to whole seconds.
_COARSENESS: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Looked:
    """An object, and what there is of a result for it.

    Attributes:
        obj: the object, as it was listed.
        state: `done`, `failed` for good, or `missing`: there is none, or one of an earlier upload.
    """

    obj: ListedObject
    state: State


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An object, and the names that its result may have."""

    obj: ListedObject
    stem: str

    def judge(self, found: Mapping[str, datetime]) -> Looked:
        # An older one is of an earlier upload of the same bytes.
        earliest = self.obj.modified - _COARSENESS
        for suffix, state in _STATES:
            stored = found.get(self.stem + suffix)
            if stored is not None and stored > earliest:
                return Looked(self.obj, state)
        return Looked(self.obj, "missing")


class Lookup:
    """Looks for the results of the objects of one bucket."""

    def __init__(
        self, listing: ObjectListing, place: ResultsPlace, bucket: str, pool: ThreadPoolExecutor
    ) -> None:
        """Look in *listing* at *place* for results of *bucket*; *pool* asks for single ones."""
        self._listing = listing
        self._place = place
        self._bucket = bucket
        self._pool = pool

    def look(self, objects: Sequence[ListedObject]) -> tuple[Looked, ...]:
        """Return what there is for each of *objects*, in their order.

        Raises:
            ObjectGone: there is no results bucket.
            StorageUnavailable, StorageDenied: as the listing says.
        """
        wanted = [
            _Wanted(one, self._place.stem(self._bucket, one.key, one.etag)) for one in objects
        ]
        found: dict[str, datetime] = {}
        pending = sorted(wanted, key=operator.attrgetter("stem"))
        for _ in range(_MOST_PAGES):
            if not pending:
                break
            pending = self._list(pending, found)
        if pending:
            for names in self._pool.map(self._ask, pending):
                found.update(names)
        return tuple(one.judge(found) for one in wanted)

    def _list(self, pending: list[_Wanted], found: dict[str, datetime]) -> list[_Wanted]:
        """List one page of results from the first that is *pending* on; return what still is."""
        page = self._listing.page(
            self._place.bucket,
            prefix=self._place.folder(self._bucket),
            after=pending[0].stem,
        )
        found.update((one.key, one.modified) for one in page.objects)
        if not page.more:
            return []
        # Of the two names the failed one comes first: what is behind the other is decided.
        last = page.objects[-1].key
        return [one for one in pending if one.stem + COMPLETED_SUFFIX > last]

    def _ask(self, wanted: _Wanted) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        for suffix, _ in _STATES:
            name = wanted.stem + suffix
            one = self._listing.find(self._place.bucket, name)
            if one is not None:
                found[name] = one.modified
            if wanted.judge(found).state != "missing":
                break
        return found
