"""`rookery source`: bucket notifications in, CloudEvents out."""

import signal
import sys
from contextlib import closing
from typing import Final

import click

from rookery.cli.source_ceph import ceph

_STOP: Final = (signal.SIGTERM, signal.SIGINT)
_LONGEST_DELIVERY_SECONDS: Final = 10.0


@click.group()
def command() -> None:
    """Turn bucket notifications into events for a sink."""


command.add_command(ceph)


@command.command(
    epilog="""\b
Examples:
  rookery source sqs --queue-url https://sqs.eu-west-1.amazonaws.com/111122223333/images \\
      --sink http://broker-ingress.knative-eventing.svc/default/default
  rookery source sqs --endpoint-url http://127.0.0.1:9000 \\
      --queue-url http://127.0.0.1:9000/123456789012/images-events --sink http://127.0.0.1:8081
"""
)
@click.option("--queue-url", required=True, help="The queue that the bucket notifies.")
@click.option("--endpoint-url", help="The SQS endpoint; AWS without it.")
@click.option("--region", help="The region to sign for [S3_AWS_REGION].")
@click.option("--sink", help="Where to POST the events [K_SINK].")
@click.option(
    "--wait-seconds",
    type=click.IntRange(0, 20),
    default=20,
    show_default=True,
    help="How long one poll waits for a message.",
)
@click.option(
    "--visibility-seconds",
    type=click.IntRange(2, 43_200),
    default=30,
    show_default=True,
    help="How long a message is ours before it is lent again.",
)
@click.option(
    "--receivers",
    type=click.IntRange(1, 32),
    default=2,
    show_default=True,
    help="Batches of up to ten messages worked on at the same time.",
)
def sqs(  # noqa: PLR0913
    *,
    queue_url: str,
    endpoint_url: str | None,
    region: str | None,
    sink: str | None,
    wait_seconds: int,
    visibility_seconds: int,
    receivers: int,
) -> None:
    """Long-poll an SQS queue of S3 notifications; POST one CloudEvent per object to the sink.

    A message is deleted only after the sink has accepted its events: delivery is at least once,
    and a repeat keeps its event id. Credentials are S3_ACCESS_KEY and S3_SECRET_KEY, or boto3's
    own chain. SIGTERM finishes the batch in hand.
    """
    from rookery.delivery.retry import RetryPolicy
    from rookery.delivery.sink import Timeouts, connect_sink
    from rookery.errors import SettingsInvalid
    from rookery.logs import configure_logs
    from rookery.settings import Settings
    from rookery.source.pump import Pump
    from rookery.source.sqs import connect

    settings = Settings.read()
    target = sink or (str(settings.sink) if settings.sink else None)
    if target is None:
        raise SettingsInvalid(["K_SINK is not set: give --sink URL"])
    # One message's events must be delivered or given up while the message is still ours.
    patience = min(_LONGEST_DELIVERY_SECONDS, visibility_seconds / 3)
    queue = connect(
        queue_url,
        endpoint=endpoint_url,
        region=region or settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        access_key_file=settings.s3_access_key_file,
        secret_key_file=settings.s3_secret_key_file,
        ca_file=settings.s3_ca_file,
        wait_seconds=wait_seconds,
        visibility_seconds=visibility_seconds,
        receivers=receivers,
    )
    http_sink = connect_sink(
        target,
        overrides=settings.ce_overrides,
        policy=RetryPolicy(total_seconds=patience),
        timeouts=Timeouts(attempt=patience),
        concurrency=10 + receivers,
        outgoing=settings.outgoing(),
    )
    configure_logs()
    # Waited for instead of handled: a handler could run while this thread holds a lock it needs.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    pump = Pump(queue, http_sink, source="/rookery/sources/sqs", receivers=receivers)
    click.echo(f"source sqs {queue_url} -> {target.partition('?')[0]}")  # it may hold a token
    with closing(http_sink), pump:
        while signal.sigtimedwait(_STOP, 1.0) is None:
            if not pump.alive:
                sys.exit(1)
