"""`rookery up`, from the first process started to the last one stopped."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from rookery.client_settings import read_client
from rookery.errors import ModelNotFound, RookeryError, Unavailable
from rookery.events.broker.client import Address, Place, follow, head
from rookery.function_folder import FunctionFolder
from rookery.local import letters
from rookery.local.ceph import CephBucket, StallWatch
from rookery.local.invitation import invitation
from rookery.local.plan import LocalPlan, ProcessPlan
from rookery.local.present import json_of, line_of, stage_line
from rookery.local.state import LocalState, claimed
from rookery.local.supervisor import Supervisor
from rookery.models.repository import Repository
from rookery.serving.server import stopped_by_signals
from rookery.settings import Settings

_log = logging.getLogger(__name__)

_TEND_SECONDS: Final = 0.2
_WATCH_SECONDS: Final = 5.0
_UNAVAILABLE: Final = 69  # what a command ends with where a later try may succeed: sysexits(3)


@dataclass(frozen=True, slots=True)
class Presentation:
    """How `up` talks: events as JSON on standard output, or for people."""

    as_json: bool

    def say(self, text: str = "") -> None:
        """Say something that is no result."""
        click.echo(text, err=self.as_json)


def run(  # noqa: PLR0913
    plan: LocalPlan,
    functions: Sequence[FunctionFolder],
    *,
    home: Path,
    start_seconds: float,
    presentation: Presentation,
    ceph: CephBucket | None = None,
) -> None:
    """Start *plan*, show results until SIGINT or SIGTERM, and stop everything again.

    The *ceph* whose bucket takes the place of the embedded one is up, and stays so.

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
            say(stage_line(process.name, seconds))

        try:
            if ceph is not None:
                ceph.notify(say)
            names = ", ".join(process.name for process in plan.processes)
            say(f"starting {names} …")
            supervisor.start(
                plan.processes,
                within_seconds=start_seconds,
                stopping=lambda: stop.requested,
                on_ready=on_ready,
            )
            if not stop.requested:
                broker = Address(plan.broker_url, read_client())
                _show_results(broker, presentation, stop)
                _show_dead_letters(broker, presentation, stop)
                if ceph is not None:
                    ceph.await_delivery(say, stopping=lambda: stop.requested)
                    _watch_deliveries(ceph, say, stop)
                announce(_state(plan))
                say(invitation(plan, os.environ))
            while not stop.requested:
                supervisor.tend()
                time.sleep(_TEND_SECONDS)
            say("\nstopping …")
            if ceph is not None:
                say("Ceph stays up; stop it with: rookery ceph down")
        finally:
            supervisor.stop()


class _Stop:
    """Whether a signal has asked us to stop; an Event has a lock, which handlers must not take."""

    requested = False

    def request(self) -> None:
        self.requested = True


def _show_results(broker: Place, presentation: Presentation, stop: _Stop) -> None:
    """Print every result from now on, in a thread of its own."""
    newest = head(broker)

    def show() -> None:
        try:
            for _, event in follow(
                broker, after=newest, type_prefix="dev.rookery.", stop=lambda: stop.requested
            ):
                if presentation.as_json:
                    click.echo(json_of(event))
                elif (line := line_of(event)) is not None:
                    click.echo(line)
        except BrokenPipeError:
            stop.request()  # whoever read the results has gone

    threading.Thread(target=show, name="results", daemon=True).start()


def _show_dead_letters(broker: Place, presentation: Presentation, stop: _Stop) -> None:
    """Print a line for every delivery that is given up from now on, in a thread of its own."""

    def show() -> None:
        try:
            for letter in letters.follow(broker, stop=lambda: stop.requested):
                presentation.say(letters.line_of(letter))
        except BrokenPipeError:
            stop.request()

    threading.Thread(target=show, name="dead-letters", daemon=True).start()


def _watch_deliveries(ceph: CephBucket, say: Callable[[str], None], stop: _Stop) -> None:
    """Start radosgw again where it stops to deliver, as a receiver that was away makes it do."""

    def watch() -> None:
        stalls = StallWatch()
        while not stop.requested:
            time.sleep(_WATCH_SECONDS)
            if not stalls.is_stalled(ceph.undelivered, time.monotonic()):
                continue
            say("Ceph has stopped to deliver its queued events; radosgw is started anew …")
            try:
                ceph.restart(say)
            except RookeryError as exc:
                _log.warning("%s", exc)

    threading.Thread(target=watch, name="deliveries", daemon=True).start()


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
        storage_url=plan.access.url,
        broker_url=plan.broker_url,
        function_urls=plan.function_urls,
        ceph=plan.receiver_url is not None,
    )
