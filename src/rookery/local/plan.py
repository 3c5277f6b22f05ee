"""What runs on this machine, as plain values: processes, their order, and the triggers."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from rookery.function_folder import FunctionFolder
from rookery.local.access import HOST, S3Access, to_embedded
from rookery.storage.embedded import queue_url


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process: its name, its command, its environment, and how to know that it is up.

    Attributes:
        ready_url: answers with less than 500 once the process is ready; None where running is
            enough.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready_url: str | None = None


@dataclass(frozen=True, slots=True)
class Ports:
    """The port of every server; functions take theirs in order of name.

    Attributes:
        storage: of the embedded S3.
        receiver: of what Ceph notifies; with it there is no embedded S3.
    """

    storage: int
    broker: int
    functions: tuple[int, ...]
    receiver: int | None = None


@dataclass(frozen=True, slots=True)
class LocalPlan:
    """Everything `rookery up` starts, in order, and where to reach it.

    Attributes:
        receiver_url: what Ceph is to notify; None with the embedded S3, which fills a queue.
    """

    bucket: str
    access: S3Access
    receiver_url: str | None
    broker_url: str
    function_urls: Mapping[str, str]
    triggers: str
    processes: tuple[ProcessPlan, ...]


def plan(  # noqa: PLR0913 - one keyword each reads best
    functions: Sequence[FunctionFolder],
    ports: Ports,
    *,
    bucket: str,
    home: Path,
    results: Sequence[str] = (),
    ceph: S3Access | None = None,
) -> LocalPlan:
    """Lay out storage, broker, source and *functions* for this machine.

    With *ceph*, which is up already, its bucket takes the place of the embedded one. *results*
    are the buckets that functions keep their results in, beside *bucket* itself.

    The triggers are Knative Trigger documents (eventing.knative.dev/v1), one per entry of a
    function's `deploy.subscriptions`, named as `kn func` names them.
    """
    access = ceph or to_embedded(f"http://{HOST}:{ports.storage}")
    broker_url = f"http://{HOST}:{ports.broker}"
    urls = {
        function.name: f"http://{HOST}:{port}"
        for function, port in zip(functions, ports.functions, strict=True)
    }
    triggers_file = home / "triggers.yaml"
    s3_env = access.env(bucket)
    home_env = {"ROOKERY_HOME": str(home)}
    storage, source = (
        _embedded(access, ports.storage, (bucket, *results), broker_url)
        if ports.receiver is None
        else ((), _receiver(ports.receiver, broker_url, home))
    )
    processes = (
        *storage,
        ProcessPlan(
            "broker",
            _rookery("broker", "serve", f"--port={ports.broker}", f"--triggers={triggers_file}"),
            home_env,
            f"{broker_url}/health/readiness",
        ),
        source,
        *(
            ProcessPlan(
                function.name,
                _rookery("serve", f"{function.path}/", f"--host={HOST}", f"--port={port}"),
                # `serve` reads func.yaml itself, below the environment; here it would be above.
                {**home_env, **s3_env, "K_SINK": broker_url},
                f"{urls[function.name]}/health/readiness",
            )
            for function, port in zip(functions, ports.functions, strict=True)
        ),
    )  # fmt: skip
    return LocalPlan(
        bucket=bucket,
        access=access,
        receiver_url=None if ports.receiver is None else f"http://{HOST}:{ports.receiver}/",
        broker_url=broker_url,
        function_urls=urls,
        triggers=triggers(functions, urls),
        processes=processes,
    )


def _embedded(
    access: S3Access, port: int, buckets: Sequence[str], broker_url: str
) -> tuple[tuple[ProcessPlan, ...], ProcessPlan]:
    """Lay out the embedded S3, and what empties its queue into the broker."""
    bucket = buckets[0]
    queue = f"{bucket}-events"
    storage = ProcessPlan(
        "storage",
        _rookery(
            "storage", "serve", f"--port={port}", f"--queue={queue}",
            *(f"--bucket={each}" for each in buckets),
        ),
        access.env(bucket),
        access.url,
    )  # fmt: skip
    source = ProcessPlan(
        "source",
        _rookery(
            "source", "sqs", f"--queue-url={queue_url(access.url, queue)}",
            f"--endpoint-url={access.url}", f"--sink={broker_url}",
            # Polls are free here, and what a killed source was lent comes back sooner.
            "--wait-seconds=5", "--visibility-seconds=10",
        ),
        access.env(bucket),
    )  # fmt: skip
    return (storage,), source


def _receiver(port: int, broker_url: str, home: Path) -> ProcessPlan:
    """Lay out what Ceph notifies: it needs no keys, only a place for its journal."""
    return ProcessPlan(
        "source",
        _rookery("source", "ceph", f"--host={HOST}", f"--port={port}", f"--sink={broker_url}"),
        # Ceph cannot send a token, and here it comes from this machine only.
        {
            "ROOKERY_HOME": str(home),
            "S3_ENABLED": "false",
            "ROOKERY_INGRESS_TOKEN": "",
            "ROOKERY_INGRESS_TOKEN_FILE": "",
        },
        f"http://{HOST}:{port}/health/readiness",
    )


def results_buckets(
    functions: Sequence[FunctionFolder], environ: Mapping[str, str], *, bucket: str
) -> tuple[str, ...]:
    """Return the buckets other than *bucket* that *functions* are set to keep their results in."""
    named = {
        {**function.envs, **environ}.get("ROOKERY_RESULTS_BUCKET", "") for function in functions
    }
    return tuple(sorted(named - {"", bucket}))


def triggers(functions: Sequence[FunctionFolder], urls: Mapping[str, str]) -> str:
    """Write one Trigger document per subscription of every function."""
    return yaml.safe_dump_all(
        (
            {
                "apiVersion": "eventing.knative.dev/v1",
                "kind": "Trigger",
                "metadata": {"name": f"{function.name}-function-trigger-{index}"},
                "spec": {
                    "broker": subscription.source,
                    "filter": {"attributes": dict(subscription.filters)},
                    "subscriber": {"uri": urls[function.name]},
                },
            }
            for function in functions
            for index, subscription in enumerate(function.subscriptions)
        ),
        sort_keys=False,
    )


def _rookery(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "rookery", *arguments)
