"""`rookery serve`: one function over HTTP."""

import os
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  rookery serve classify
  PORT=9000 ROOKERY_BACKEND=openvino rookery serve classify
  curl --data-binary @photo.jpg http://127.0.0.1:8080/
"""
)
@click.argument("function")
@click.option(
    "--functions",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("functions"),
    show_default=True,
    help="The folder of function folders.",
)
@click.option("--host", help="The address to listen on [ROOKERY_HOST].")
@click.option("--port", type=int, help="The port to listen on; 0 picks a free one [PORT].")
@click.option("--model", help="The model to serve, NAME or NAME/VERSION [ROOKERY_MODEL].")
@click.option("--backend", help="tensorflow, openvino or fixed [ROOKERY_BACKEND].")
def command(  # noqa: PLR0913
    *,
    function: str,
    root: Path,
    host: str | None,
    port: int | None,
    model: str | None,
    backend: str | None,
) -> None:
    """Serve FUNCTION: the name of a folder with a func.yaml, or a path to one.

    The port is bound at once; readiness follows when the model is warm. SIGTERM drains.
    Settings come from the environment; what func.yaml lists under run.envs is the default.
    """
    from rookery.assemble import load_function
    from rookery.function_folder import find_function
    from rookery.logs import configure_logs
    from rookery.settings import Settings

    folder = find_function(function, root, os.environ)
    chosen = {
        "ROOKERY_HOST": host,
        "PORT": None if port is None else str(port),
        "ROOKERY_MODEL": model,
        "ROOKERY_BACKEND": backend,
    }
    os.environ.update(
        {name: value for name, value in folder.envs.items() if name not in os.environ}
        | {name: value for name, value in chosen.items() if value is not None}
    )
    settings = Settings.read()
    configure_logs()
    load_function(folder).serve(
        settings, on_listening=lambda url: click.echo(f"{folder.name} listening on {url}")
    )
