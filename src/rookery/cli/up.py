"""`rookery up`: the whole system on this machine."""

from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  rookery up
  rookery up --function-port 8090 --bucket photos
  rookery put photo.jpg            (in another terminal)
"""
)
@click.option(
    "--functions",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("functions"),
    show_default=True,
    help="The folder of function folders.",
)
@click.option("--bucket", default="images", show_default=True, help="The bucket to make.")
@click.option("--storage-port", default=9000, show_default=True, help="0 picks a free one.")
@click.option("--broker-port", default=8081, show_default=True, help="0 picks a free one.")
@click.option(
    "--function-port",
    default=8080,
    show_default=True,
    help="The first function's; the next count up. 0 picks free ones.",
)
@click.option(
    "--start-seconds", default=180.0, show_default=True, help="How long starting may take."
)
@click.option("--json", "as_json", is_flag=True, help="Print results as CloudEvents, one a line.")
def command(  # noqa: PLR0913
    *,
    root: Path,
    bucket: str,
    storage_port: int,
    broker_port: int,
    function_port: int,
    start_seconds: float,
    as_json: bool,
) -> None:
    """Run everything here: bucket, broker, source and every function; show results as they come.

    Logs, the broker's journal and models lie below ROOKERY_HOME (.rookery). Processes that die
    are started again. Ctrl-C stops everything.
    """
    import os

    from rookery.errors import FunctionInvalid
    from rookery.function_folder import find_functions
    from rookery.local.plan import plan
    from rookery.local.ports import choose_ports
    from rookery.local.up import Presentation, run
    from rookery.logs import configure_logs
    from rookery.settings import Settings

    settings = Settings.read()
    configure_logs()
    functions = find_functions(root, os.environ)
    if not functions:
        raise FunctionInvalid(
            f"there is no function in {root}/: a function is a folder with a func.yaml; "
            "run this where the functions are, or name their folder with --functions"
        )
    ports = choose_ports(
        storage=storage_port,
        broker=broker_port,
        first_function=function_port,
        functions=len(functions),
    )
    home = settings.home.absolute()
    run(
        plan(functions, ports, bucket=bucket, home=home),
        functions,
        home=home,
        start_seconds=start_seconds,
        presentation=Presentation(as_json=as_json),
    )
