"""A million keys in the memory of one page.

The listing is a fake: it makes its pages up as they are asked for, so that what grows is ours. All
behind it is real: scope, lookup, emission, checkpoints.
"""

import json
import subprocess
import sys

import pytest

RUN = '''
import json, resource, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from rookery.reconcile.checkpoint import Checkpoint
from rookery.reconcile.emission import Announcing, Emitter, Pacer
from rookery.reconcile.lookup import Lookup
from rookery.reconcile.patience import Patience, PatientListing
from rookery.reconcile.run import Outlets, Selection, reconcile
from rookery.reconcile.scope import Scope
from rookery.storage.protocol import ListedObject, ListedPage
from rookery.storage.results import ResultsPlace

KEYS, EVERY = int(sys.argv[1]), 10_000
MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
PLACE = ResultsPlace("kept", "results/")

def image(n):
    return ListedObject(f"folder/{n:09}.jpg", f"{n:032x}", 50_000, MOMENT)

def result(n):
    name = f"results/images/folder/{n:09}.jpg/{n:032x}.json"
    return ListedObject(name, "0" * 32, 900, MOMENT)

class Endless:
    """Images 0 to KEYS, and a result for each but every EVERYth."""
    def page(self, bucket, *, prefix="", after="", limit=1000):
        first = 0
        if after:
            # A page starts after an image's key, or right before the results of one.
            first = int(after.partition("folder/")[2][:9]) + (bucket == "images")
        numbers = range(first, min(first + limit, KEYS))
        if bucket == "images":
            objects = tuple(image(n) for n in numbers)
        else:
            objects = tuple(result(n) for n in numbers if n % EVERY)
        return ListedPage(objects, more=first + limit < KEYS)
    def find(self, bucket, key):
        return image(int(key.partition("folder/")[2][:9])) if bucket == "images" else None

class Counting:
    events = 0
    def send(self, event):
        Counting.events += 1

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

stopping, peaks = threading.Event(), []
patience = Patience("it", stopping, seconds=5)
listing = PatientListing(Endless(), patience)
began = time.perf_counter()
with ThreadPoolExecutor(8) as pool:
    end = reconcile(
        Scope("images", until=MOMENT, results=PLACE), Selection(), listing=listing,
        lookup=Lookup(listing, PLACE, "images", pool),
        emitter=Emitter(listing, Counting(), Announcing("images"), patience=patience,
                        pacer=Pacer(None, stopping)),
        pool=pool, outlets=Outlets(missing=lambda _: None, passed=lambda _: peaks.append(peak())),
        start=Checkpoint({"bucket": "images"}), stopping=stopping)
print(json.dumps({
    "listed": end.counts.listed, "emitted": Counting.events, "missing": end.counts.missing,
    "early": peaks[20], "late": peaks[-1], "pages": len(peaks),
    "seconds": time.perf_counter() - began,
}))
'''


@pytest.mark.timeout(600)  # 12 s of one processor, which may have other things to do
def test_a_million_keys_take_no_more_memory_than_a_few_thousand():
    found = subprocess.run(
        (sys.executable, "-c", RUN, "1000000"), check=True, capture_output=True, text=True
    )
    measured = json.loads(found.stdout)

    assert (measured["listed"], measured["pages"]) == (1_000_000, 1000)
    assert measured["emitted"] == measured["missing"] == 100
    # Kibibytes of peak resident memory: after 20 pages, and after all 1,000.
    assert measured["late"] - measured["early"] < 8 * 1024, measured
