"""One run: every page of a bucket, what is missing on it, an event for each, a checkpoint."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from rookery.errors import DeliveryRejected
from rookery.reconcile.checkpoint import Checkpoint
from rookery.reconcile.counts import Counts
from rookery.reconcile.emission import Emitter
from rookery.reconcile.lookup import Looked, Lookup
from rookery.reconcile.scope import Scope
from rookery.storage.protocol import ListedObject, ObjectListing

_log = logging.getLogger(__name__)

# A sink that has refused so many and taken none refuses everything: a wrong address, no event.
_HOPELESS: Final = 20
_LOGGED: Final = 10


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the objects in scope is missing.

    Attributes:
        failed: also those that have failed for good.
        everything: all of them, whatever results there are.
    """

    failed: bool = False
    everything: bool = False

    def takes(self, looked: Looked) -> bool:
        """Whether *looked* is to be announced."""
        return (
            self.everything
            or looked.state == "missing"
            or (self.failed and looked.state == "failed")
        )


@dataclass(frozen=True, slots=True)
class Outlets:
    """Who hears of a run.

    Attributes:
        missing: called with the key of every object that is missing.
        passed: called with the checkpoint behind every page; a run can go on from there.
    """

    missing: Callable[[str], None]
    passed: Callable[[Checkpoint], None]


def reconcile(  # noqa: PLR0913
    scope: Scope,
    selection: Selection,
    *,
    listing: ObjectListing,
    lookup: Lookup | None,
    emitter: Emitter | None,
    pool: ThreadPoolExecutor,
    outlets: Outlets,
    start: Checkpoint,
    stopping: threading.Event,
) -> Checkpoint:
    """Look through a bucket from *start* on; return where that ended.

    Holds one page of objects at a time, however many the bucket has.

    Args:
        scope: which objects to look at.
        selection: what of them is missing.
        listing: lists the bucket.
        lookup: knows what has a result; None for nothing.
        emitter: sends the events; None to send none.
        pool: the threads it sends in.
        outlets: who hears of it.
        start: the checkpoint to go on from.
        stopping: set, it makes the run leave; the page in hand is done again by the next.

    Raises:
        ObjectGone: there is no such bucket.
        DeliveryRejected: the sink takes nothing at all.
        Unavailable: the store or the sink were away for too long.
    """
    checkpoint = start
    while not checkpoint.finished and not stopping.is_set():
        page = listing.page(scope.bucket, prefix=scope.prefix, after=checkpoint.after)
        looked = _look([one for one in page.objects if scope.takes(one)], lookup)
        missing = [one for one in looked if selection.takes(one)]
        for one in missing:
            outlets.missing(one.obj.key)
        kept = [one.state for one in looked if not selection.takes(one)]
        counts = checkpoint.counts + Counts(
            listed=len(page.objects),
            skipped=len(page.objects) - len(looked),
            done=kept.count("done"),
            failed=kept.count("failed"),
            missing=len(missing),
        )
        if emitter is not None:
            counts = _emit(missing, emitter, pool, counts)
        checkpoint = replace(
            checkpoint,
            after=page.objects[-1].key if page.objects else checkpoint.after,
            counts=counts,
            finished=not page.more,
        )
        outlets.passed(checkpoint)
    return checkpoint


def _look(objects: list[ListedObject], lookup: Lookup | None) -> tuple[Looked, ...]:
    if lookup is None:
        return tuple(Looked(one, "missing") for one in objects)
    return lookup.look(objects)


def _emit(
    missing: list[Looked], emitter: Emitter, pool: ThreadPoolExecutor, counts: Counts
) -> Counts:
    """Announce what is *missing* on one page; return *counts* and what came of it."""
    emissions = [(one, pool.submit(emitter.emit, one)) for one in missing]
    try:
        for one, emission in emissions:
            try:
                counts += Counts(**{emission.result(): 1})
            except DeliveryRejected as exc:
                counts += Counts(refused=1)
                if counts.refused <= _LOGGED:
                    _log.warning("%s: %s", one.obj.key, exc)
                if counts.refused >= _HOPELESS and not counts.emitted:
                    raise
    finally:
        for _, emission in emissions:
            emission.cancel()
    return counts
