"""`rookery up`, from the first process started to the last one stopped."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from rookery.errors import ModelNotFound, Unavailable
from rookery.events.broker.client import follow, head
from rookery.function_folder import FunctionFolder
from rookery.local.plan import ACCESS_KEY, REGION, SECRET_KEY, LocalPlan, ProcessPlan
from rookery.local.present import json_of, line_of
from rookery.local.state import LocalState, claimed
from rookery.local.supervisor import Supervisor
from rookery.models.repository import Repository
from rookery.serving.server import stopped_by_signals
from rookery.settings import Settings

_TEND_SECONDS: Final = 0.2
_UNAVAILABLE: Final = 69  # what a command ends with where a later try may succeed: sysexits(3)


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
    stop = _Stop()
    with claimed(home) as announce, stopped_by_signals(stop.request):
        for function in functions:
            _ensure_model(function, home)
        (home / "triggers.yaml").write_text(plan.triggers, encoding="utf-8")
        supervisor = Supervisor(home / "logs")
        say = presentation.say

        def on_ready(process: ProcessPlan, seconds: float) -> None:
            say(f"{click.style('✓', fg='green')} {process.name:10} {seconds:5.1f} s")

        try:
            say("starting storage, broker, source and functions …")
            supervisor.start(
                plan.processes,
                within_seconds=start_seconds,
                stopping=lambda: stop.requested,
                on_ready=on_ready,
            )
            if not stop.requested:
                _show_results(plan.broker_url, presentation, stop)
                announce(_state(plan))
                say(_invitation(plan))
            while not stop.requested:
                supervisor.tend()
                time.sleep(_TEND_SECONDS)
            say("\nstopping …")
        finally:
            supervisor.stop()


class _Stop:
    """Whether a signal has asked us to stop; an Event has a lock, which handlers must not take."""

    requested = False

    def request(self) -> None:
        self.requested = True


def _show_results(broker_url: str, presentation: Presentation, stop: _Stop) -> None:
    """Print every result from now on, in a thread of its own."""
    newest = head(broker_url)

    def show() -> None:
        try:
            for _, event in follow(
                broker_url, after=newest, type_prefix="dev.rookery.", stop=lambda: stop.requested
            ):
                if presentation.as_json:
                    click.echo(json_of(event))
                elif (line := line_of(event)) is not None:
                    click.echo(line)
        except BrokenPipeError:
            stop.request()  # whoever read the results has gone

    threading.Thread(target=show, name="results", daemon=True).start()


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
        if pulled.returncode == _UNAVAILABLE:
            raise Unavailable(f"{function.name} cannot start: {missing}") from missing
        if pulled.returncode:
            raise


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
