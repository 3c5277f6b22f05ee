"""How many images to work on at once: each number of CPUs with each setting, over HTTP."""

import http.client
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

from http_overhead import photograph
from processes import listening_url, rookery, wait_ready
from table import Row

CLIENTS = 4
SECONDS = 6.0
ALONE = 60
WARM_UP = 10
MODEL = "efficientnet-lite0"


def run() -> list[Row]:
    """Compare what is the default with its neighbors, on 1 CPU and on as many more as are here."""
    here = sorted(os.sched_getaffinity(0))
    counts = [count for count in (1, 2, 4, 8) if count <= len(here)]
    return [
        _measure(frozenset(here[:count]), performance, at_once)
        for count in counts
        for performance in ("latency", "throughput")
        for at_once in dict.fromkeys(("", "1", "2", str(count), str(count + 1)))
    ]


def _measure(cpus: frozenset[int], performance: str, at_once: str) -> Row:
    image = photograph()
    env = {
        "ROOKERY_MODEL": MODEL,
        "ROOKERY_BACKEND": "openvino",
        "ROOKERY_PERFORMANCE": performance,
        "ROOKERY_CONCURRENCY": at_once,
        "S3_ENABLED": "false",
    }
    with on(cpus), rookery("serve", "classify", "--host=127.0.0.1", "--port=0", **env) as process:
        url = listening_url(process)
        wait_ready(f"{url}/health/readiness")
        netloc = urlsplit(url).netloc
        alone = median(list(_asked(netloc, image, ALONE + WARM_UP))[WARM_UP:])
        rate, busy = _crowded(netloc, image)
    return Row(
        f"{len(cpus)} CPU(s), {performance}, {at_once or 'default'} at once",
        f"{alone:.1f} ms alone",
        f"{busy:.1f} ms with {CLIENTS} clients",
        f"{rate:.1f} images/s",
    )


@contextmanager
def on(cpus: frozenset[int]) -> Iterator[None]:
    """Run this process, and what it starts, on *cpus*."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _asked(netloc: str, image: bytes, times: int) -> Iterator[float]:
    """Post *image* so many times on one connection; yield the milliseconds of each."""
    connection = http.client.HTTPConnection(netloc)
    try:
        for _ in range(times):
            started = perf_counter()
            connection.request("POST", "/", image, {"Content-Type": "image/jpeg"})
            response = connection.getresponse()
            text = response.read()
            if response.status != http.HTTPStatus.OK:
                raise SystemExit(f"bench: the function answers {response.status}: {text!r}")
            yield (perf_counter() - started) * 1000
    finally:
        connection.close()


def _crowded(netloc: str, image: bytes) -> tuple[float, float]:
    """Return images a second and the median milliseconds while several clients ask."""
    taken: list[float] = []
    end = perf_counter() + SECONDS

    def ask() -> None:
        for one in _asked(netloc, image, 100_000):
            taken.append(one)
            if perf_counter() > end:
                return

    started = perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        asking = [clients.submit(ask) for _ in range(CLIENTS)]
    for client in asking:
        client.result()  # raises what the client did
    return len(taken) / (perf_counter() - started), median(taken)
