"""A real Ceph: PUT -> result event, and how many notifications a second come through."""

import hashlib
import http.client
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TypeVar
from urllib.parse import urlsplit

import upload_to_result
from processes import System, ceph_home, open_store, up
from results import watching
from rookery.events.announcement import announce, record_of
from rookery.events.object_created import ObjectCreated
from rookery.events.result import COMPLETED
from rookery.events.timestamp import now
from rookery.events.wire import to_binary
from rookery.images.sample import sample_jpeg
from rookery.local.access import to_ceph
from rookery.storage.ceph.bucket import ensure_bucket
from rookery.storage.ceph.state import read_node
from rookery.storage.s3 import S3Store
from table import Row

Item = TypeVar("Item")

BUCKET = "images"
TARGET_MS = 40.0
UPLOADS = 400
THREADS = 8
WARM_UP = 40
PATIENCE_SECONDS = 300

# How Ceph hands a notification on, and what `rookery up` is told for it.
SYNCHRONOUS = ("synchronous topic", ("--ceph", "--synchronous"))
PERSISTENT = ("persistent topic", ("--ceph",))

Topic = tuple[str, tuple[str, ...]]


def run() -> list[Row]:
    """Measure both kinds of topic, each time with a Ceph of its own."""
    topics = (SYNCHRONOUS, PERSISTENT)
    return [_one_at_a_time(topic) for topic in topics] + [_sustained(topic) for topic in topics]


def _one_at_a_time(topic: Topic) -> Row:
    name, arguments = topic
    with ceph_home() as home, up(home, *arguments, ROOKERY_BACKEND="openvino") as system:
        medians = upload_to_result.measure(system, "openvino")
    overhead = medians.whole - medians.bare
    row = Row(
        f"Ceph PUT -> result event, openvino, {name}",
        f"{medians.whole:.1f} ms",
        f"bare {medians.bare:.1f} ms; decode {medians.decode:.1f} ms",
        f"{overhead:+.1f} ms",
    )
    if topic is SYNCHRONOUS:
        return replace(row, target=f"<= {TARGET_MS:.0f} ms", met=overhead <= TARGET_MS)
    return replace(row, beside=f"{row.beside}; Ceph looks into an idle queue every 100 ms")


def _sustained(topic: Topic) -> Row:
    name, arguments = topic
    image = sample_jpeg(64, 48)
    with ceph_home() as home:
        # Before there is a notification: what Ceph alone takes, and objects that nobody announced.
        warm, direct = _keys("warm", WARM_UP), _keys("direct", UPLOADS)
        alone = _put_all_to_ceph_alone(home, [*warm, *direct], image)
        with up(home, *arguments, ROOKERY_BACKEND="fixed") as system:
            _post_all(system, warm, image)
            straight = _post_all(system, direct, image)
            through = _upload_all(system, _keys("through", UPLOADS), image)
    return Row(
        f"Ceph -> function, no-op model, {name}",
        f"{UPLOADS / through:.0f} notifications/s",
        f"{UPLOADS / straight:.0f}/s posted straight to the function; "
        f"{len([*warm, *direct]) / alone:.0f} PUT/s to Ceph alone",
        f"{straight / through:.2f}x",
    )


def _upload_all(system: System, keys: Sequence[str], image: bytes) -> float:
    """Upload, and return the seconds from the first PUT to the last result."""
    store, warm = system.store(THREADS), _keys("through-warm", WARM_UP)
    with watching(system.state.broker_url) as results:
        _put_all(store, system.state.bucket, warm, image)
        results.wait_for(warm, PATIENCE_SECONDS)
        started = perf_counter()
        _put_all(store, system.state.bucket, keys, image)
        results.wait_for(keys, PATIENCE_SECONDS)
        return max(results.seen[key].moment for key in keys) - started


def _put_all_to_ceph_alone(home: Path, keys: Sequence[str], image: bytes) -> float:
    node = read_node(home)
    if node is None:
        raise SystemExit(f"bench: there is no Ceph in {home}")
    ensure_bucket(node, BUCKET)
    store = open_store(to_ceph(node), THREADS)
    started = perf_counter()
    _put_all(store, BUCKET, keys, image)
    return perf_counter() - started


def _put_all(store: S3Store, bucket: str, keys: Sequence[str], image: bytes) -> None:
    def put(mine: Sequence[str]) -> None:
        for key in mine:
            store.write(bucket, key, image, content_type="image/jpeg")

    _in_threads(put, keys)


def _post_all(system: System, keys: Sequence[str], image: bytes) -> float:
    """Post the events of objects that are there, and return the seconds to the last result."""
    (url,) = system.state.function_urls.values()
    events = [_announced(system.state.bucket, key, image) for key in keys]

    def post(mine: Sequence[tuple[dict[str, str], bytes]]) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        for headers, body in mine:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.headers["ce-type"] != COMPLETED:
                raise SystemExit(f"bench: the function answers {answer.status} {said[:500]!r}")
        connection.close()

    started = perf_counter()
    _in_threads(post, events)
    return perf_counter() - started


def _announced(bucket: str, key: str, image: bytes) -> tuple[dict[str, str], bytes]:
    """Make the event that the receiver makes of Ceph's notification, as headers and body."""
    obj = ObjectCreated(
        bucket=bucket,
        key=key,
        event_name="ObjectCreated:Put",
        etag=hashlib.md5(image, usedforsecurity=False).hexdigest(),
        size=len(image),
        time=now(),
    )
    (event,) = announce({"Records": [record_of(obj, producer="ceph:s3")]})
    headers, body = to_binary(event)
    # As the broker asks: else the function would post its results to the broker.
    return {**headers, "Prefer": "reply"}, body


def _in_threads(work: Callable[[Sequence[Item]], None], items: Sequence[Item]) -> None:
    """Share *items* out to threads that *work* at once."""
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, items[first::THREADS]) for first in range(THREADS)]:
            done.result()


def _keys(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}.jpg" for number in range(count)]
