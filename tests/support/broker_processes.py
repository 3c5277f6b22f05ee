"""A real `rookery broker serve` that is killed and started again, and what posts to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from rookery.events.wire import CloudEvent, to_batch, to_binary
from rookery.free_ports import free_ports

_START_SECONDS = 60.0

TRIGGER = """
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: {name}}}
spec:
  filter: {{attributes: {{type: {type}}}}}
  subscriber: {{uri: "{url}"}}
  delivery: {delivery}
---
"""


def trigger(name: str, url: str, type_: str = "test.happened", **delivery: object) -> str:
    """Write one trigger in YAML, for events of one type."""
    return TRIGGER.format(name=name, type=type_, url=url, delivery=json.dumps(delivery))


def made(id_: str, type_: str = "test.happened", data: bytes = b"") -> CloudEvent:
    """Make an event."""
    return CloudEvent(id=id_, source="/test", type=type_, data=data)


class BrokerProcess:
    """One broker on one journal and one port, however often it is started."""

    def __init__(
        self,
        folder: Path,
        triggers: str,
        *,
        journal: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare *folder*; `start` starts."""
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.journal = journal or folder / "broker.db"
        self._environ = dict(environ or {})
        self._log = folder / "broker.log"
        self._http = urllib3.PoolManager(retries=False, maxsize=8)
        self._process: subprocess.Popen[bytes] | None = None
        file = folder / "triggers.yaml"
        file.write_text(triggers)
        self._command = (
            sys.executable, "-m", "rookery", "broker", "serve", f"--port={port}",
            f"--triggers={file}", f"--journal={self.journal}", "--drain-seconds=5",
        )  # fmt: skip

    def spawn(self) -> None:
        """Start the process, and wait for nothing."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env={**os.environ, **self._environ}, stdout=log, stderr=log
            )

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        self.spawn()
        self.wait_until(lambda: self.status("/health/liveness") == 200, "the broker's start")

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; return the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def close(self) -> None:
        """Kill what still runs."""
        self._http.clear()
        if self._process is not None:
            self.kill()

    def post(self, *events: CloudEvent) -> int | None:
        """Post one event in binary mode, or several as a batch; None when nobody answers."""
        headers, body = to_binary(events[0]) if len(events) == 1 else to_batch(list(events))
        response = self.ask("POST", "/", body, headers)
        return None if response is None else response.status

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse | None:
        try:
            return self._http.request(
                method, self.url + path, body=body, headers=headers, timeout=30
            )
        except urllib3.exceptions.HTTPError:
            return None

    def status(self, path: str) -> int | None:
        response = self.ask("GET", path)
        return None if response is None else response.status

    def lines(self, path: str) -> list[dict]:
        response = self.ask("GET", path)
        assert response is not None, f"{path} is not answered\n{self.log()}"
        return [json.loads(line) for line in response.data.splitlines()]

    def events(self) -> list[dict]:
        """Every event in the journal, in its order."""
        found, after = [], 0
        while True:
            response = self.ask("GET", f"/events?after={after}")
            assert response is not None
            page = [json.loads(line)["event"] for line in response.data.splitlines()]
            if not page:
                return found
            found += page
            after = int(response.headers["Rookery-After"])

    def triggers(self) -> dict[str, dict]:
        response = self.ask("GET", "/triggers")
        assert response is not None
        return {each["name"]: each for each in response.json()["triggers"]}

    def metric(self, name: str) -> float:
        response = self.ask("GET", "/metrics")
        assert response is not None
        for line in response.data.decode().splitlines():
            if line.startswith(name):
                return float(line.rpartition(" ")[2])
        return 0.0

    def until_settled(self, *names: str, seconds: float = 60) -> None:
        """Wait until nothing is pending for any trigger, or for these."""

        def settled() -> bool:
            triggers = self.triggers()
            return all(triggers[name]["pending"] == 0 for name in names or triggers)

        self.wait_until(settled, "the settling of everything", seconds)

    def wait_until(
        self, done: Callable[[], bool], what: str, seconds: float = _START_SECONDS
    ) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                pytest.fail(f"waited {seconds:.0f} s in vain for {what}\n{self.log()}")
            time.sleep(0.01)

    def log(self) -> str:
        """What the broker has said of late."""
        return self._log.read_text(errors="replace")[-3000:] if self._log.exists() else ""


@contextmanager
def broker_process(folder: Path, triggers: Sequence[str], **options) -> Iterator[BrokerProcess]:
    """Run a broker with *triggers*, and end it in the end whatever has become of it."""
    broker = BrokerProcess(folder, "".join(triggers), **options)
    try:
        yield broker
    finally:
        broker.close()
