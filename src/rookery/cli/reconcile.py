"""`rookery reconcile`: events for the objects of a bucket that have no result."""

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rookery.delivery.sink import HttpSink
    from rookery.settings import Settings
    from rookery.storage.s3_listing import S3Listing

_INTERRUPTED: Final = 130


@click.command(
    epilog="""\b
Examples:
  rookery reconcile --dry-run
  rookery reconcile --sink http://127.0.0.1:8081 --older-than 0s
  rookery reconcile --bucket images --prefix 2026/ --since 2h --rate 20
  rookery reconcile --shard 1/4 --state shard-1.json --json
  rookery reconcile --failed --since 2026-01-31T12:00:00Z
"""
)
@click.option("--bucket", help="The bucket to look through [S3_BUCKET_NAME, where that is one].")
@click.option("--prefix", default="", help="Only keys that begin so.")
@click.option("--since", help="Only objects stored since this time, or this long ago (2h).")
@click.option(
    "--older-than",
    default="5m",
    show_default=True,
    help="Only objects stored at least so long ago: others may still be announced.",
)
@click.option("--shard", default="1/1", help="Only this part of the keys, such as 1/4.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep a checkpoint in this file, and go on from it.",
)
@click.option("--sink", help="Where to POST the events [K_SINK].")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Most events a second.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Events sent at the same time.",
)
@click.option(
    "--patience",
    default="2m",
    show_default=True,
    help="How long to try again while the store or the sink does not answer.",
)
@click.option(
    "--event-name",
    default="ObjectCreated:Put",
    show_default=True,
    help="What the events say; a listing does not tell.",
)
@click.option("--failed", is_flag=True, help="Also objects that have failed for good.")
@click.option("--all", "everything", is_flag=True, help="All objects, whatever results there are.")
@click.option("--dry-run", is_flag=True, help="Send nothing; print the keys there are events for.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(  # noqa: PLR0913
    *,
    bucket: str | None,
    prefix: str,
    since: str | None,
    older_than: str,
    shard: str,
    state: Path | None,
    sink: str | None,
    rate: float | None,
    concurrency: int,
    patience: str,
    event_name: str,
    failed: bool,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send an object-created event for every object of a bucket that has no result yet.

    This heals what was lost while notifications, Ceph or its endpoint were down. What has a result
    is known from the results store (ROOKERY_RESULTS_BUCKET). An event's id follows from the
    object's version, so that a broker absorbs the events of a second run; each run with --failed
    or --all has ids of its own. SIGTERM and Ctrl-C leave a checkpoint. The exit status is 1 where
    the sink refused events.
    """
    from rookery.cli.reconcile_report import Report
    from rookery.errors import SettingsInvalid
    from rookery.logs import configure_logs
    from rookery.reconcile.checkpoint import Checkpoint
    from rookery.reconcile.emission import Announcing, Emitter, Pacer
    from rookery.reconcile.lookup import Lookup
    from rookery.reconcile.moments import parse_moment, parse_span
    from rookery.reconcile.patience import Patience, PatientListing
    from rookery.reconcile.run import Outlets, Selection, reconcile
    from rookery.reconcile.scope import Scope, Shard
    from rookery.settings import Settings
    from rookery.storage.results import ResultsPlace

    if dry_run and state is not None:
        raise click.UsageError("--dry-run does nothing that a --state could be kept of")
    settings = Settings.read()
    target = sink or (str(settings.sink) if settings.sink else None)
    if target is None and not dry_run:
        raise SettingsInvalid(["K_SINK is not set: give --sink URL, or --dry-run"])
    if settings.results_bucket is None and not everything:
        problem = (
            "ROOKERY_RESULTS_BUCKET is not set: without a results store nobody knows what is "
            "done; set it for the function and for this command, or give --all"
        )
        raise SettingsInvalid([problem])
    place = (
        ResultsPlace(settings.results_bucket, settings.results_prefix)
        if settings.results_bucket is not None
        else None
    )
    now = datetime.now(UTC)
    scope = Scope(
        bucket=bucket or _only_bucket(settings),
        prefix=prefix,
        since=parse_moment(since, now=now) if since else None,
        until=now - parse_span(older_than),
        shard=Shard.parse(shard),
        results=place,
    )
    job = {
        "bucket": scope.bucket,
        "prefix": prefix,
        "shard": str(scope.shard),
        "mode": "all" if everything else "failed" if failed else "missing",
    }
    start = (Checkpoint(job) if state is None else Checkpoint.load(state, job)).named()
    if state is not None:
        start.begin(state)
    seconds = parse_span(patience).total_seconds()
    configure_logs()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as opened:
        listing = PatientListing(
            _listing(settings, concurrency, opened),
            Patience("the bucket", stopping, seconds=seconds),
        )
        emitter = None
        if target is not None and not dry_run:
            emitter = Emitter(
                listing,
                _sink(settings, target, concurrency, opened),
                Announcing(
                    scope.bucket,
                    event_name=event_name,
                    region=settings.s3_region,
                    again=start.run if failed or everything else "",
                ),
                patience=Patience("the sink", stopping, seconds=seconds),
                pacer=Pacer(rate, stopping),
            )
        pool = opened.enter_context(ThreadPoolExecutor(concurrency))
        opened.callback(stopping.set)  # before the pool waits for what it has in hand
        report = Report(start, state=state, keys=dry_run and not as_json)
        try:
            end = reconcile(
                scope,
                Selection(failed=failed, everything=everything),
                listing=listing,
                lookup=Lookup(listing, place, scope.bucket, pool) if place else None,
                emitter=emitter,
                pool=pool,
                outlets=Outlets(missing=report.missing, passed=report.passed),
                start=start,
                stopping=stopping,
            )
        except KeyboardInterrupt:
            report.interrupted()
            sys.exit(_INTERRUPTED)
    report.summary(end, as_json=as_json)
    if end.counts.refused:
        sys.exit(1)


def _only_bucket(settings: "Settings") -> str:
    from rookery.errors import SettingsInvalid

    if len(settings.s3_buckets) == 1:
        return settings.s3_buckets[0]
    raise SettingsInvalid(["S3_BUCKET_NAME does not name one bucket: give --bucket NAME"])


def _listing(settings: "Settings", concurrency: int, opened: ExitStack) -> "S3Listing":
    from rookery.s3_store import connect_to_s3

    store = connect_to_s3(settings, concurrency=concurrency + 1)
    opened.callback(store.close)
    return store.listing()


def _sink(settings: "Settings", url: str, concurrency: int, opened: ExitStack) -> "HttpSink":
    from rookery.delivery.retry import RetryPolicy
    from rookery.delivery.sink import connect_sink

    # One attempt: what is tried again is tried by whoever can be told to stop.
    sink = connect_sink(
        url,
        overrides=settings.ce_overrides,
        policy=RetryPolicy(attempts=1),
        concurrency=concurrency,
        outgoing=settings.outgoing(),
    )
    opened.callback(sink.close)
    return sink
