"""Counters that survive kill -9: each scrape adds what a process has counted since the last one."""

import threading
from collections import Counter
from collections.abc import Mapping

import urllib3
from prometheus_client.parser import text_string_to_metric_families

_EVERY_SECONDS = 0.5


class Meters:
    """Sums counters over the lives of processes; what was counted just before a kill is missed."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        """Scrape the `/metrics` below each of *urls*, by process name."""
        self.sums: Counter[str] = Counter()
        self._urls = urls
        self._last: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meters", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Scrape a last time, and end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            ended = self._stop.wait(_EVERY_SECONDS)
            for name, url in self._urls.items():
                self._scrape(name, url)
            if ended:
                return

    def _scrape(self, name: str, url: str) -> None:
        try:
            answer = urllib3.request("GET", f"{url}/metrics", timeout=2, retries=False)
        except urllib3.exceptions.HTTPError:
            return  # it is down or frozen, which is what this is all about
        for family in text_string_to_metric_families(answer.data.decode()):
            for sample in family.samples:
                if family.type != "counter" or not sample.name.endswith("_total"):
                    continue
                label = "".join(f",{value}" for value in sample.labels.values())
                key = f"{name}:{sample.name}{label}"
                before = self._last.get(key, 0.0)
                # A counter that went back belongs to a new process.
                self.sums[key] += int(
                    sample.value - before if sample.value >= before else sample.value
                )
                self._last[key] = sample.value
