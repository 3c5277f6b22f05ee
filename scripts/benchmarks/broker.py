"""The broker's ingress and delivery, alone and at once, fsync on; and its memory on the way."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from memory import resident
from processes import listening_url, rookery, wait_ready
from rookery.events.broker.changes import Append
from rookery.events.broker.clock import Clock
from rookery.events.broker.entry import entry
from rookery.events.broker.journal import open_journal
from rookery.events.broker.trigger import parse_triggers
from rookery.events.wire import CloudEvent, to_batch, to_binary
from sockets import post_all, subscriber
from table import Row

EVENTS = 20_000
CONNECTIONS = 16
TARGET = 2000
MILESTONES = (10_000, 50_000, 100_000)
BATCH = 20
GROWTH_MEBIBYTES = 10.0
PATIENCE_SECONDS = 300

TRIGGER = """
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: bench}
spec: {subscriber: {uri: "%s"}}
"""


@dataclass(frozen=True)
class Broker:
    """A running broker."""

    pid: int
    address: tuple[str, int]

    def cpu_seconds(self) -> float:
        """What it has computed so far, in the kernel too."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def mebibytes(self) -> float:
        """Its resident memory."""
        return resident(self.pid) / 1024**2


def run() -> list[Row]:
    """Measure each with a journal of its own."""
    return [_ingress(), _backlog(), _both(), _memory()]


def _ingress() -> Row:
    with _broker("") as broker:
        before = broker.cpu_seconds()
        seconds = post_all(broker.address, _requests(EVENTS), CONNECTIONS)
        return _row("broker ingress", EVENTS / seconds, broker.cpu_seconds() - before)


def _backlog() -> Row:
    with tempfile.TemporaryDirectory() as folder, subscriber() as (url, seen):
        journal = Path(folder) / "broker.db"
        triggers = parse_triggers(TRIGGER % url)
        with open_journal(journal, triggers, Clock()) as opened:
            for start in range(0, EVENTS, 100):
                events = (_event(number) for number in range(start, start + 100))
                opened.make(Append(tuple(entry(event, triggers) for event in events)))
        with _broker(TRIGGER % url, journal) as broker:
            # The start is not measured: what it has delivered by now does not count.
            before, done, started = broker.cpu_seconds(), seen(), perf_counter()
            _wait(lambda: seen() >= EVENTS)
            seconds, cpu = perf_counter() - started, broker.cpu_seconds() - before
        count = EVENTS - done
        return _row("broker delivery of a backlog", count / seconds, cpu * EVENTS / count)


def _both() -> Row:
    with subscriber() as (url, seen), _broker(TRIGGER % url) as broker:
        before, started = broker.cpu_seconds(), perf_counter()
        post_all(broker.address, _requests(EVENTS), CONNECTIONS)
        _wait(lambda: seen() >= EVENTS)
        seconds = perf_counter() - started
        cpu = broker.cpu_seconds() - before
        return _row("broker ingress and delivery at once", EVENTS / seconds, cpu)


def _memory() -> Row:
    sizes = []
    with subscriber() as (url, seen), _broker(TRIGGER % url) as broker:
        done = 0
        for milestone in MILESTONES:
            post_all(broker.address, _batches(done, milestone), CONNECTIONS)
            done = milestone
            _wait(lambda: seen() >= done)  # noqa: B023 - called at once
            sizes.append(broker.mebibytes())
    growth = sizes[-1] - sizes[0]
    return Row(
        f"broker memory after {MILESTONES[-1]:,} events",
        f"{sizes[-1]:.0f} MiB",
        ", ".join(f"{size:.0f} MiB after {n:,}" for n, size in zip(MILESTONES, sizes, strict=True)),
        f"{growth:+.1f} MiB",
        f"<= {GROWTH_MEBIBYTES:.0f} MiB of growth",
        growth <= GROWTH_MEBIBYTES,
    )


def _row(what: str, rate: float, cpu_seconds: float) -> Row:
    return Row(
        what,
        f"{rate:,.0f} events/s",
        f"{cpu_seconds / EVENTS * 1e6:.0f} µs of CPU an event",
        f"{rate / TARGET:.2f}x",
        f">= {TARGET:,} events/s",
        rate >= TARGET,
    )


@contextmanager
def _broker(triggers: str, journal: Path | None = None) -> Iterator[Broker]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "triggers.yaml"
        file.write_text(triggers)
        arguments = (f"--triggers={file}", f"--journal={journal or Path(folder) / 'broker.db'}")
        with rookery("broker", "serve", "--port=0", *arguments) as process:
            url = listening_url(process)
            wait_ready(f"{url}/health/readiness")
            parts = urlsplit(url)
            yield Broker(process.pid, (str(parts.hostname), int(parts.port or 0)))


def _event(number: int) -> CloudEvent:
    return CloudEvent(
        id=str(number),
        source="/bench",
        type="dev.rookery.bench",
        subject="images/photo.jpg",
        datacontenttype="application/json",
    )


def _requests(count: int) -> Iterator[bytes]:
    return (_request(*to_binary(_event(number))) for number in range(count))


def _batches(start: int, end: int) -> Iterator[bytes]:
    for first in range(start, end, BATCH):
        yield _request(*to_batch([_event(number) for number in range(first, first + BATCH)]))


def _request(headers: dict[str, str], body: bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return head.encode() + body


def _wait(done: Callable[[], bool]) -> None:
    deadline = perf_counter() + PATIENCE_SECONDS
    while not done():
        if perf_counter() > deadline:
            raise SystemExit(f"bench: the broker did not deliver within {PATIENCE_SECONDS} s")
        time.sleep(0.005)
