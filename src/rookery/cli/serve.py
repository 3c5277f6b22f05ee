"""`rookery serve`: one function over HTTP."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rookery.cli.function_folders import functions_option

if TYPE_CHECKING:
    from rookery.assemble import Function
    from rookery.function_folder import FunctionFolder
    from rookery.lifecycle.snapshot.protocol import Driver, Restored
    from rookery.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `rookery serve`."""

    function: str
    root: Path
    host: str | None
    port: int | None
    model: str | None
    backend: str | None
    snapshot: str | None


@click.command(
    epilog="""\b
Examples:
  rookery serve classify
  PORT=9000 ROOKERY_BACKEND=openvino rookery serve classify
  rookery serve classify --snapshot snapshot/
  curl --data-binary @photo.jpg http://127.0.0.1:8080/
"""
)
@click.argument("function")
@functions_option
@click.option("--host", help="The address to listen on [ROOKERY_HOST].")
@click.option("--port", type=int, help="The port to listen on; 0 picks a free one [PORT].")
@click.option("--model", help="The model to serve, NAME or NAME/VERSION [ROOKERY_MODEL].")
@click.option("--backend", help="openvino, auto or another library [ROOKERY_BACKEND].")
@click.option(
    "--snapshot",
    metavar="DIR",
    help="Wake this snapshot of `rookery snapshot create` if it fits; else boot, and say why.",
)
@click.pass_context
def command(context: click.Context, /, **_: object) -> None:
    """Serve FUNCTION: the name of a folder with a func.yaml, or a path to one.

    The port is bound at once; readiness follows when the model is warm. SIGTERM drains.
    Settings come from the environment; what func.yaml lists under run.envs is the default.
    """
    from rookery.lifecycle.snapshot.choose import choose
    from rookery.lifecycle.snapshot.none import NoSnapshots
    from rookery.logs import configure_logs

    # A snapshot that could be woken has been, by `rookery.launch`, before we were imported.
    plan = Plan.read(Options(**context.params))
    configure_logs()
    driver = choose(plan.settings.snapshot, os.environ)
    if isinstance(driver, NoSnapshots):
        plan.load().serve(plan.settings, on_listening=plan.announce)
    else:
        _serve_clones(plan, driver)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to serve: the function's folder, and the settings of this process."""

    folder: "FunctionFolder"
    settings: "Settings"

    @classmethod
    def read(cls, options: Options) -> "Plan":
        """Find the function of *options* and read the settings; func.yaml completes os.environ.

        Raises:
            FunctionInvalid, SettingsInvalid: they cannot be used.
        """
        from rookery.function_folder import find_function
        from rookery.settings import Settings

        folder = find_function(options.function, options.root, os.environ)
        chosen = {
            "ROOKERY_HOST": options.host,
            "PORT": None if options.port is None else str(options.port),
            "ROOKERY_MODEL": options.model,
            "ROOKERY_BACKEND": options.backend,
        }
        os.environ.update(
            {name: value for name, value in folder.envs.items() if name not in os.environ}
            | {name: value for name, value in chosen.items() if value is not None}
        )
        return cls(folder, Settings.read())

    def load(self) -> "Function":
        """Import the function's own code."""
        from rookery.assemble import load_function

        return load_function(self.folder)

    def announce(self, url: str) -> None:
        """Say where the function listens."""
        click.echo(f"{self.folder.name} listening on {url}")


def parse(arguments: Sequence[str]) -> Options:
    """Return what the *arguments* after `rookery serve` say.

    Raises:
        SettingsInvalid: they are no command line of it.
    """
    from rookery.errors import SettingsInvalid

    try:
        return Options(**command.make_context("serve", list(arguments)).params)
    except click.ClickException as exc:
        raise SettingsInvalid([exc.format_message()]) from exc


def _serve_clones(plan: Plan, driver: "Driver") -> None:
    """Prepare the function, let *driver* snapshot this process, and serve in every clone."""
    from rookery.errors import RookeryError, SnapshotMismatch
    from rookery.frozen import changes, computing, frozen
    from rookery.lifecycle.snapshot import renewal

    renewal.register()
    # Before anything is loaded: libraries set some of these variables themselves.
    fixed = {**frozen(plan.settings, plan.folder), **computing(os.environ)}
    function = plan.load()
    application = function.prepare(plan.settings)
    try:
        restored = _be_snapshotted(plan, driver)
        if restored is not None:
            plan = _plan_again(plan, restored)
            here = {**frozen(plan.settings, plan.folder), **computing(os.environ)}
            if found := changes(fixed, here):
                raise SnapshotMismatch(found)
        function.serve(
            plan.settings,
            on_listening=_announcing(plan, driver),
            application=application,
        )
    except RookeryError as exc:
        driver.report(str(exc))
        raise


def _be_snapshotted(plan: Plan, driver: "Driver") -> "Restored | None":
    from rookery.errors import SnapshotFailed, SnapshotUnsafe
    from rookery.frozen import secrets_in
    from rookery.lifecycle.hooks import run_after_restore
    from rookery.lifecycle.snapshot.criu import PipeDriver
    from rookery.lifecycle.snapshot.point import snapshot_point

    try:
        return snapshot_point(
            driver, secrets=secrets_in(os.environ), hook_seconds=plan.settings.hook_seconds
        )
    except (SnapshotFailed, SnapshotUnsafe) as exc:
        if isinstance(driver, PipeDriver):
            raise  # somebody waits for a snapshot, and for nothing else
        _log.warning("serving without a snapshot: %s", exc)
        run_after_restore(plan.settings.hook_seconds)  # undoes what was done for the snapshot
        return None


def _announcing(plan: Plan, driver: "Driver") -> Callable[[str], None]:
    def on_listening(url: str) -> None:
        plan.announce(url)
        driver.report(None)

    return on_listening


def _plan_again(plan: Plan, restored: "Restored") -> Plan:
    if restored.arguments is not None:
        plan = Plan.read(parse(restored.arguments))
    else:
        plan = Plan(plan.folder, type(plan.settings).read())
    # The function's module knows the folder that it was loaded from; pictures are read here.
    data = plan.settings.data_dir or plan.folder.path / "data"
    return Plan(plan.folder, plan.settings.model_copy(update={"data_dir": data}))
