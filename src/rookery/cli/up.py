"""`rookery up`: the whole system on this machine."""

from pathlib import Path

import click

from rookery.cli.function_folders import functions_option


@click.command(
    epilog="""\b
Examples:
  rookery up
  rookery up --function-port 8090 --bucket photos
  rookery put photo.jpg            (in another terminal)
  rookery ceph up && rookery up --ceph
"""
)
@functions_option
@click.option("--bucket", default="images", show_default=True, help="The bucket to make.")
@click.option("--storage-port", default=9000, show_default=True, help="0 picks a free one.")
@click.option(
    "--ceph", "on_ceph", is_flag=True, help="Use a real Ceph, brought up if it is not up."
)
@click.option(
    "--synchronous",
    is_flag=True,
    help="With --ceph: an upload waits until its event is journalled. 0.1 s sooner, but what is "
    "uploaded while this is not up has no event; without it, Ceph keeps the event.",
)
@click.option(
    "--receiver-port",
    default=8082,
    show_default=True,
    help="With --ceph: what it notifies. Keep it: a queued event goes where it was queued for. "
    "0 picks a free one.",
)
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
    on_ceph: bool,
    synchronous: bool,
    receiver_port: int,
    broker_port: int,
    function_port: int,
    start_seconds: float,
    as_json: bool,
) -> None:
    """Run everything here: bucket, broker, source and every function; show results as they come.

    Logs, the broker's journal and models lie below ROOKERY_HOME (.rookery). Processes that die
    are started again. Ctrl-C stops everything, but a Ceph.
    """
    import os

    from rookery.errors import FunctionInvalid
    from rookery.function_folder import find_functions
    from rookery.local.access import to_ceph
    from rookery.local.ceph import CephBucket, node_for_up
    from rookery.local.plan import plan, results_buckets
    from rookery.local.ports import choose_ports
    from rookery.local.up import Presentation, run
    from rookery.logs import configure_logs
    from rookery.settings import read_home

    if synchronous and not on_ceph:
        raise click.UsageError("--synchronous is for --ceph")
    configure_logs()
    _send_what_is_accepted()
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
        receiver=receiver_port if on_ceph else None,
    )
    home = read_home().absolute()
    presentation = Presentation(as_json=as_json)
    node = node_for_up(home, presentation.say) if on_ceph else None
    results = results_buckets(functions, os.environ, bucket=bucket)
    local = plan(
        functions,
        ports,
        bucket=bucket,
        home=home,
        results=results,
        ceph=None if node is None else to_ceph(node),
    )
    run(
        local,
        functions,
        home=home,
        start_seconds=start_seconds,
        presentation=presentation,
        ceph=None
        if node is None or local.receiver_url is None
        else CephBucket(
            home,
            node,
            bucket,
            local.receiver_url,
            persistent=not synchronous,
            results=results,
        ),
    )


def _send_what_is_accepted() -> None:
    """Let everything that runs here send the token that everything here accepts."""
    import os

    if not os.environ.get("ROOKERY_SINK_TOKEN") and not os.environ.get("ROOKERY_SINK_TOKEN_FILE"):
        for end in ("", "_FILE"):
            if accepted := os.environ.get(f"ROOKERY_INGRESS_TOKEN{end}"):
                os.environ[f"ROOKERY_SINK_TOKEN{end}"] = accepted
