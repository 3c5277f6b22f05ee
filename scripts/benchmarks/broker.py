"""Broker ingress with fsync on, against the same server answering without a journal."""

import http.client
import multiprocessing
import tempfile
import threading
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from processes import listening_url, rookery, wait_ready
from table import Row

SECONDS = 5.0
THREADS = 16
TARGET = 1000


def run() -> list[Row]:
    """Post small events from a process of its own with keep-alive connections."""
    with tempfile.TemporaryDirectory() as folder:
        triggers = Path(folder) / "triggers.yaml"
        triggers.write_text("")
        with rookery(
            "broker", "serve", "--port=0", f"--triggers={triggers}",
            f"--journal={folder}/broker.db",
        ) as process:  # fmt: skip
            url = listening_url(process)
            wait_ready(f"{url}/health/readiness")
            address = urlsplit(url).netloc
            rate = _rate(address, "POST", "/")
            plain = _rate(address, "GET", "/health/liveness")
    return [
        Row(
            "broker ingress, durable",
            f"{rate:,.0f} events/s",
            f"GET /health/liveness {plain:,.0f}/s",
            f"{rate / plain:.2f}x",
            f">= {TARGET:,} events/s",
            rate >= TARGET,
        )
    ]


def _rate(address: str, method: str, path: str) -> float:
    queue: multiprocessing.Queue[float] = multiprocessing.Queue()
    client = multiprocessing.Process(target=_load, args=(address, method, path, queue))
    client.start()
    rate = queue.get(timeout=SECONDS * 6)
    client.join()
    return rate


def _load(address: str, method: str, path: str, queue: "multiprocessing.Queue[float]") -> None:
    deadline = perf_counter() + SECONDS
    counts = [0] * THREADS

    def post(thread: int) -> None:
        connection = http.client.HTTPConnection(address)
        while perf_counter() < deadline:
            headers = {
                "ce-specversion": "1.0",
                "ce-id": f"{thread}-{counts[thread]}",
                "ce-source": "/bench",
                "ce-type": "dev.rookery.bench",
                "Content-Type": "application/json",
            }
            connection.request(method, path, b'{"hello": "broker"}', headers)
            response = connection.getresponse()
            response.read()
            if response.status not in {200, 202}:
                raise SystemExit(f"bench: {method} {path} answered {response.status}")
            counts[thread] += 1
        connection.close()

    started = perf_counter()
    threads = [threading.Thread(target=post, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put(sum(counts) / (perf_counter() - started))
