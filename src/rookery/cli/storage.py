"""`rookery storage`: the embedded S3."""

from typing import Final

import click

# A long poll holds its thread for up to 20 s, so there are more threads than pollers.
_THREADS: Final = 16
# Everything is in memory: what a drain could save is lost a moment later anyway.
_DRAIN_SECONDS: Final = 2.0
_MAX_BODY_BYTES: Final = 512 * 1024 * 1024


@click.group()
def command() -> None:
    """Run the embedded S3."""


@command.command(
    epilog="""\b
Examples:
  rookery storage serve --bucket images
  aws --endpoint-url http://127.0.0.1:9000 s3 cp photo.jpg s3://images/
"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=9000, show_default=True, help="0 picks a free one.")
@click.option("--bucket", "buckets", multiple=True, default=("images",), show_default=True)
@click.option(
    "--queue", help="The SQS queue of every bucket's notifications; FIRST_BUCKET-events by default."
)
@click.option("--access-key", envvar="S3_ACCESS_KEY", help="The access key [S3_ACCESS_KEY].")
@click.option("--secret-key", envvar="S3_SECRET_KEY", help="The secret key [S3_SECRET_KEY].")
def serve(  # noqa: PLR0913
    *,
    host: str,
    port: int,
    buckets: tuple[str, ...],
    queue: str | None,
    access_key: str | None,
    secret_key: str | None,
) -> None:
    """Serve S3 (and SQS) from memory: objects are gone when this process ends.

    Every bucket notifies the queue of every object created, as a bucket on AWS would.

    With both keys, requests signed with anything else are refused; without them any credentials
    will do. Uploads of up to 512 MiB in one request are taken, multipart uploads too.
    """
    from rookery.errors import SettingsInvalid
    from rookery.logs import configure_logs
    from rookery.serving.server import serve as serve_http
    from rookery.storage import embedded

    if bool(access_key) != bool(secret_key):
        raise SettingsInvalid(["S3_ACCESS_KEY and S3_SECRET_KEY go together; one is missing"])
    configure_logs()
    queue = queue or f"{buckets[0]}-events"
    app = embedded.application()
    embedded.provision(app, buckets=buckets, queue=queue)
    keys = embedded.KeyPair(access_key, secret_key) if access_key and secret_key else None

    def announce(url: str) -> None:
        click.echo(f"embedded S3 (in memory) listening on {url}")
        click.echo(f"  bucket  {', '.join(buckets)}")
        click.echo(f"  queue   {embedded.queue_url(url, queue)}")
        click.echo(f"  keys    {keys.access_key + ' and its secret' if keys else 'any'}")

    serve_http(
        embedded.with_health(app if keys is None else embedded.with_credentials(app, keys)),
        host=host,
        port=port,
        threads=_THREADS,
        max_body_bytes=_MAX_BODY_BYTES,
        drain_seconds=_DRAIN_SECONDS,
        on_listening=announce,
    )
