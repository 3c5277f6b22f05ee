"""`rookery up`, from the first process started to the last one stopped."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from rookery.errors import Misconfigured, ModelNotFound, Unavailable
from rookery.events.broker.client import follow, head
from rookery.function_folder import FunctionFolder
from rookery.local.plan import ACCESS_KEY, REGION, SECRET_KEY, LocalPlan, ProcessPlan
from rookery.local.present import json_of, line_of
from rookery.local.state import LocalState, clear_state, read_state, write_state
from rookery.local.supervisor import Supervisor
from rookery.models.repository import Repository
from rookery.serving.server import stopped_by_signals
from rookery.settings import Settings

_TEND_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Presentation:
    """How `up` talks: events as JSON on standard output, or for people."""

    as_json: bool

    def say(self, text: str = "") -> None:
        """Say something that is no result."""
        click.echo(text, err=self.as_json)


def run(
    plan: LocalPlan,
    functions: Sequence[FunctionFolder],
    *,
    home: Path,
    start_seconds: float,
    presentation: Presentation,
) -> None:
    """Start *plan*, show results until SIGINT or SIGTERM, and stop everything again.

    Raises:
        Misconfigured: another one is up already, or a model cannot be had.
        StartFailed: a process does not start.
    """
    if (running := read_state(home)) is not None:
        raise Misconfigured(
            f"rookery is already up here as process {running.pid}; stop it, "
            "or set ROOKERY_HOME to another folder"
        )
    for function in functions:
        _ensure_model(function, home)
    home.mkdir(parents=True, exist_ok=True)
    (home / "triggers.yaml").write_text(plan.triggers)
    supervisor = Supervisor(home / "logs")
    stopping = threading.Event()
    say = presentation.say

    def on_ready(process: ProcessPlan, seconds: float) -> None:
        say(f"{click.style('✓', fg='green')} {process.name:10} {seconds:5.1f} s")

    with stopped_by_signals(stopping.set):
        try:
            say("starting storage, broker, source and functions …")
            supervisor.start(
                plan.processes,
                within_seconds=start_seconds,
                stopping=stopping.is_set,
                on_ready=on_ready,
            )
            if stopping.is_set():
                return
            write_state(home, _state(plan))
            say(_invitation(plan))
            follower = threading.Thread(
                target=_show_results, args=(plan.broker_url, presentation, stopping), daemon=True
            )
            follower.start()
            while not stopping.wait(_TEND_SECONDS):
                supervisor.tend()
            say("\nstopping …")
        finally:
            clear_state(home)
            supervisor.stop()


def _show_results(broker_url: str, presentation: Presentation, stopping: threading.Event) -> None:
    events = follow(
        broker_url, after=head(broker_url), type_prefix="dev.rookery.", stop=stopping.is_set
    )
    for _, event in events:
        if presentation.as_json:
            click.echo(json_of(event))
        elif (line := line_of(event)) is not None:
            click.echo(line)


def _ensure_model(function: FunctionFolder, home: Path) -> None:
    """Pull the function's model where it is missing, in a process of its own: it needs Keras."""
    environ = {**function.envs, **os.environ}
    reference = environ.get("ROOKERY_MODEL") or Settings.model_fields["model"].default
    try:
        Repository(home / "models").find(reference)
    except ModelNotFound as missing:
        click.echo(f"{function.name} needs the model {reference}; pulling it …", err=True)
        pulled = subprocess.run(  # noqa: S603 - our own command line
            (sys.executable, "-m", "rookery", "models", "pull", reference),
            env={**os.environ, "ROOKERY_HOME": str(home)},
            check=False,
        )
        if pulled.returncode:
            raise Unavailable(f"{function.name} cannot start: {missing}") from missing


def _state(plan: LocalPlan) -> LocalState:
    return LocalState(
        pid=os.getpid(),
        bucket=plan.bucket,
        storage_url=plan.storage_url,
        broker_url=plan.broker_url,
        function_urls=plan.function_urls,
    )


def _invitation(plan: LocalPlan) -> str:
    function, url = next(iter(plan.function_urls.items()))
    urls = "\n".join(f"  {name:10} {at}" for name, at in plan.function_urls.items())
    return f"""
  storage    {plan.storage_url}  (bucket {plan.bucket})
  broker     {plan.broker_url}
{urls}

Try, in another terminal:

  rookery put photo.jpg

  AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} AWS_DEFAULT_REGION={REGION} \\
    aws --endpoint-url {plan.storage_url} s3 cp photo.jpg s3://{plan.bucket}/

  curl --data-binary @photo.jpg {url}/
  curl '{url}/?imageName=test1'

Results of {function} appear below; Ctrl-C stops everything.
"""
