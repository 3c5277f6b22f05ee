"""The system under soak: a Ceph node and `rookery up --ceph`, in a home of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from rookery.events.broker.client import read, triggers
from rookery.events.object_created import from_event
from rookery.events.result import COMPLETED
from rookery.events.wire import STRUCTURED, from_http
from rookery.free_ports import free_ports
from rookery.storage.ceph.state import CephNode, read_node
from tally import Version

RESULTS_BUCKET = "results"
_START_SECONDS = 240


@dataclass(frozen=True)
class System:
    """What runs, and where it is reached."""

    home: Path
    process: subprocess.Popen[bytes]
    node: CephNode
    env: Mapping[str, str]
    bucket: str
    broker_url: str
    receiver_url: str
    function_url: str

    def pending(self) -> int:
        """How many deliveries the receiver and the broker still have to make."""
        waiting = [*triggers(self.broker_url), *triggers(self.receiver_url)]
        return sum(int(str(each["pending"])) for each in waiting)

    def results(self) -> list[tuple[Version, str]]:
        """Every completed event in the broker's journal: what it is about, and its id."""
        found = []
        for _, event in read(self.broker_url, after=0, type_prefix=COMPLETED):
            obj = json.loads(event.data)["object"]
            found.append(((obj["key"], obj["etag"]), event.id))
        return found

    def dead_letters(self) -> list[Version]:
        """Every dead letter of the broker and the receiver: what it is about."""
        found = []
        for url in (self.broker_url, self.receiver_url):
            answer = urllib3.request("GET", f"{url}/deadletters", timeout=60)
            for line in answer.data.splitlines():
                document = json.dumps(json.loads(line)["event"]).encode()
                (event,) = from_http({"Content-Type": STRUCTURED}, document)
                found += [(obj.key, obj.etag or "") for obj in from_event(event)]
        return found

    def reconcile(self) -> int:
        """Announce what has no result; return how many objects that was."""
        done = subprocess.run(
            (
                *_ROOKERY, "reconcile", "--older-than=0s", f"--bucket={self.bucket}",
                f"--sink={self.broker_url}", "--json",
            ),
            env={**os.environ, **self.env},
            check=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        return int(json.loads(done.stdout)["emitted"])


_ROOKERY = (sys.executable, "-m", "rookery")


@contextmanager
def running(home: Path, models: Path, backend: str) -> Iterator[System]:
    """Bring everything up below *home*, and take it down again."""
    (home / "models").symlink_to(models.absolute())
    env = {
        "ROOKERY_HOME": str(home),
        "ROOKERY_BACKEND": backend,
        "ROOKERY_RESULTS_BUCKET": RESULTS_BUCKET,
    }
    environ = {**os.environ, **env}
    subprocess.run((*_ROOKERY, "ceph", "up", "--port=0"), env=environ, check=True)
    node = read_node(home)
    assert node is not None
    (receiver_port,) = free_ports(1)
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(
            (*_ROOKERY, "up", "--ceph", "--json", "--broker-port=0", "--function-port=0",
             f"--receiver-port={receiver_port}"),
            env=environ, stdout=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
        try:
            state = _state(home, process)
            (function_url,) = state["function_urls"].values()
            yield System(
                home=home,
                process=process,
                node=node,
                env={
                    **env,
                    "S3_ENDPOINT_URL": node.endpoint,
                    "S3_ACCESS_KEY": node.access_key,
                    "S3_SECRET_KEY": node.secret_key,
                },
                bucket=state["bucket"],
                broker_url=state["broker_url"],
                receiver_url=f"http://127.0.0.1:{receiver_port}",
                function_url=function_url,
            )
        finally:
            process.terminate()
            process.wait(60)
            subprocess.run(
                (*_ROOKERY, "ceph", "down", "--delete", "--yes"), env=environ, check=False
            )


def _state(home: Path, process: subprocess.Popen[bytes]) -> dict[str, object]:
    deadline = time.monotonic() + _START_SECONDS
    file = home / "up.json"
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"soak: rookery up did not start:\n{(home / 'up.log').read_text()}")
        time.sleep(0.1)
    state: dict[str, object] = json.loads(file.read_text())
    return state
