"""Buckets in memory, and ways to reconcile them in this process."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rookery.delivery.memory import MemorySink
from rookery.reconcile.checkpoint import Checkpoint
from rookery.reconcile.emission import Announcing, Emitter, Pacer
from rookery.reconcile.lookup import Lookup
from rookery.reconcile.patience import Patience
from rookery.reconcile.run import Outlets, Selection, reconcile
from rookery.reconcile.scope import Scope
from rookery.storage.memory import MemoryStore
from rookery.storage.protocol import ListedObject, ListedPage
from rookery.storage.results import ResultsPlace

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PLACE = ResultsPlace("kept", "results/")


@dataclass
class Clock:
    """A time that passes when a test says so."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class WatchedListing:
    """A listing with pages of a size of its own, that counts what it is asked."""

    store: MemoryStore
    limit: int = 1000
    pages: list[str] = field(default_factory=list)
    finds: list[tuple[str, str]] = field(default_factory=list)
    before_page: Callable[[str, str], None] = lambda *_: None

    def page(
        self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> ListedPage:
        self.before_page(bucket, after)
        self.pages.append(bucket)
        return self.store.page(bucket, prefix=prefix, after=after, limit=min(limit, self.limit))

    def find(self, bucket: str, key: str) -> ListedObject | None:
        self.finds.append((bucket, key))
        return self.store.find(bucket, key)


class World:
    """A bucket of images, a bucket of results, a sink, and one run after the other."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.clock = Clock()
        self.store = MemoryStore("images", "kept", clock=self.clock)
        self.listing = WatchedListing(self.store)
        self.sink = MemorySink()
        self.pool = pool
        self.stopping = threading.Event()
        self.passed: list[Checkpoint] = []

    def put(self, *keys: str, data: bytes = b"image") -> None:
        for key in keys:
            self.store.write("images", key, data, content_type="image/jpeg")

    def finish(self, *keys: str, failed: bool = False) -> None:
        """Keep a result for what *keys* hold now."""
        for key in keys:
            stem = PLACE.stem("images", key, self.store.find("images", key).etag)
            name = stem + (".failed.json" if failed else ".json")
            self.store.write("kept", name, b"{}", content_type="application/json")

    def run(  # noqa: PLR0913
        self,
        *,
        start: Checkpoint | None = None,
        selection: Selection | None = None,
        sink: Any = None,
        dry: bool = False,
        again: str = "",
        place: ResultsPlace | None = PLACE,
        **scope: Any,
    ) -> Checkpoint:
        patience = Patience("it", self.stopping, seconds=5)
        emitter = Emitter(
            self.listing,
            sink or self.sink,
            Announcing("images", again=again),
            patience=patience,
            pacer=Pacer(None, self.stopping),
        )
        lookup = Lookup(self.listing, place, "images", self.pool) if place else None
        defaults = {"bucket": "images", "until": self.clock.now, "results": place}
        return reconcile(
            Scope(**{**defaults, **scope}),
            selection or Selection(),
            listing=self.listing,
            lookup=lookup,
            emitter=None if dry else emitter,
            pool=self.pool,
            outlets=Outlets(missing=lambda _: None, passed=self.passed.append),
            start=start or Checkpoint({"bucket": "images"}),
            stopping=self.stopping,
        )

    @property
    def announced(self) -> list[str]:
        """The keys of the events so far, sorted: they are sent side by side."""
        return sorted(event.subject for event in self.sink.events)


@pytest.fixture
def world() -> Iterator[World]:
    with ThreadPoolExecutor(4) as pool:
        yield World(pool)


@pytest.fixture(scope="session")
def make_world() -> Callable[[ThreadPoolExecutor], World]:
    """For tests that need a world for each of many examples."""
    return World
