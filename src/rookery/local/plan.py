"""What runs on this machine, as plain values: processes, their order, and the triggers."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from rookery.function_folder import FunctionFolder
from rookery.storage.embedded import queue_url

HOST: Final = "127.0.0.1"
REGION: Final = "us-east-1"
# Not a secret: the embedded bucket listens on loopback and forgets everything when it stops.
ACCESS_KEY: Final = "rookery"
SECRET_KEY: Final = "rookery-local"  # noqa: S105


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
    """The port of every server; functions take theirs in order of name."""

    storage: int
    broker: int
    functions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LocalPlan:
    """Everything `rookery up` starts, in order, and where to reach it."""

    bucket: str
    storage_url: str
    broker_url: str
    function_urls: Mapping[str, str]
    triggers: str
    processes: tuple[ProcessPlan, ...]


def plan(
    functions: Sequence[FunctionFolder], ports: Ports, *, bucket: str, home: Path
) -> LocalPlan:
    """Lay out storage, broker, source and *functions* for this machine.

    The triggers are Knative Trigger documents (eventing.knative.dev/v1), one per entry of a
    function's `deploy.subscriptions`, named as `kn func` names them.
    """
    storage_url = f"http://{HOST}:{ports.storage}"
    broker_url = f"http://{HOST}:{ports.broker}"
    urls = {
        function.name: f"http://{HOST}:{port}"
        for function, port in zip(functions, ports.functions, strict=True)
    }
    queue = f"{bucket}-events"
    triggers_file = home / "triggers.yaml"
    s3_env = {
        "S3_ENABLED": "true",
        "S3_ENDPOINT_URL": storage_url,
        "S3_ACCESS_KEY": ACCESS_KEY,
        "S3_SECRET_KEY": SECRET_KEY,
        "S3_BUCKET_NAME": bucket,
        "S3_AWS_REGION": REGION,
    }
    home_env = {"ROOKERY_HOME": str(home)}
    processes = (
        ProcessPlan(
            "storage",
            _rookery(
                "storage", "serve", f"--port={ports.storage}", f"--bucket={bucket}",
                f"--queue={queue}",
            ),
            s3_env,
            storage_url,
        ),
        ProcessPlan(
            "broker",
            _rookery("broker", "serve", f"--port={ports.broker}", f"--triggers={triggers_file}"),
            home_env,
            f"{broker_url}/health/readiness",
        ),
        ProcessPlan(
            "source",
            _rookery(
                "source", "sqs", f"--queue-url={queue_url(storage_url, queue)}",
                f"--endpoint-url={storage_url}", f"--sink={broker_url}",
                # Polls are free here, and what a killed source was lent comes back sooner.
                "--wait-seconds=5", "--visibility-seconds=10",
            ),
            s3_env,
        ),
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
        storage_url=storage_url,
        broker_url=broker_url,
        function_urls=urls,
        triggers=triggers(functions, urls),
        processes=processes,
    )


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
