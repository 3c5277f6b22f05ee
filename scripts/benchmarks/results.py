"""The result events of a running system, each with the moment it was seen."""

import json
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from rookery.events.broker.client import follow, head
from rookery.events.result import COMPLETED


@dataclass(frozen=True)
class Seen:
    """One result: when it was seen, and how long the function decoded."""

    moment: float
    decode_ms: float


@dataclass
class Results:
    """What has been seen so far, by key."""

    seen: dict[str, Seen] = field(default_factory=dict)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def note(self, key: str, result: Seen) -> None:
        """Remember the first result of *key*."""
        with self._news:
            self.seen.setdefault(key, result)
            self._news.notify_all()

    def wait_for(self, keys: Collection[str], seconds: float) -> None:
        """Wait until every one of *keys* has a result."""
        wanted = set(keys)
        with self._news:
            if not self._news.wait_for(lambda: wanted <= self.seen.keys(), timeout=seconds):
                missing = len(wanted - self.seen.keys())
                raise SystemExit(
                    f"bench: {missing} of {len(wanted)} results are missing after {seconds:.0f} s"
                )


@contextmanager
def watching(broker_url: str) -> Iterator[Results]:
    """Follow the broker from now on."""
    results = Results()
    newest = head(broker_url)
    done = threading.Event()

    def watch() -> None:
        for _, event in follow(broker_url, after=newest, type_prefix=COMPLETED, stop=done.is_set):
            moment = perf_counter()
            decode_ms = json.loads(event.data)["timings"]["decode_ms"]
            results.note(event.subject or "", Seen(moment, decode_ms))

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield results
    finally:
        done.set()
