"""`rookery source ceph`: takes notifications that a store pushes, journals and forwards them."""

from typing import TYPE_CHECKING

import click

from rookery.cli.journal_server import JournalServer, journal_server

if TYPE_CHECKING:
    from rookery.source.poison import OnPoison


@click.command(
    epilog="""\b
Examples:
  rookery source ceph --sink http://127.0.0.1:8081
  rookery source ceph --host 0.0.0.0 --journal /data/receiver.db \\
      --sink http://broker-ingress.knative-eventing.svc/default/default
\b
The topic's push-endpoint is the address that this prints:
  rookery ceph notifications apply --help
"""
)
@click.option("--sink", help="Where to POST the events: a broker, or a function [K_SINK].")
@journal_server(port=8082, journal="receiver.db", limit="--max-body-bytes")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Events on their way to the sink at the same time.",
)
@click.option(
    "--timeout-seconds",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    help="How long the sink may take for one event.",
)
@click.option(
    "--on-poison",
    type=click.Choice(("reject", "ack-and-deadletter")),
    default="ack-and-deadletter",
    show_default=True,
    help="What is no notification: answer 4xx, which Ceph repeats for ever, or answer 2xx and "
    "send the sink a dead letter that keeps it.",
)
def ceph(
    *,
    sink: str | None,
    server: JournalServer,
    concurrency: int,
    timeout_seconds: float,
    on_poison: "OnPoison",
) -> None:
    """Take bucket notifications over HTTP; POST one CloudEvent per object to the sink.

    Takes what Ceph, MinIO, AWS (S3, SNS, SQS, EventBridge) and Knative's CephSource send, on any
    path. What is accepted (202) is on disk: it survives kill -9 and a power cut. It is delivered
    at least once, in the sink's own time; a repeat is absorbed. /metrics, /health/readiness,
    /events and /deadletters are those of `rookery broker serve`, and its commands work with
    --url.
    """
    from rookery.credentials import shown
    from rookery.delivery.overrides import parse_overrides
    from rookery.delivery.sink import check_sink_url
    from rookery.errors import SettingsInvalid
    from rookery.settings import Settings
    from rookery.source.receiver import Target, open_receiver

    settings = Settings.read()
    url = sink or (str(settings.sink) if settings.sink else None)
    if url is None:
        raise SettingsInvalid(["K_SINK is not set: give --sink URL"])
    check_sink_url(url, "--sink" if sink else "K_SINK")
    target = Target(
        url=url,
        concurrency=concurrency,
        timeout=timeout_seconds,
        extensions=parse_overrides(settings.ce_overrides),
        outgoing=settings.outgoing(),
    )
    server.prepare()
    with open_receiver(
        server.journal_or("receiver.db"),
        target,
        on_poison=on_poison,
        limits=server.limits,
        retention=server.retention,
    ) as receiver:
        server.serve(receiver, lambda own: f"source ceph listening on {own} -> {shown(url)}")
