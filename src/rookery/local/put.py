"""`rookery put`: upload through S3, then watch the broker for what comes of it."""

import mimetypes
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import click

from rookery.client_settings import read_client
from rookery.errors import Misconfigured, RequestInvalid
from rookery.events.attributes import legal
from rookery.events.broker.client import Address, follow, head
from rookery.events.result import COMPLETED, DEADLETTER, FAILED
from rookery.events.wire import CloudEvent
from rookery.local.access import S3Access
from rookery.local.present import json_of, line_of
from rookery.local.state import LocalState, read_state
from rookery.storage.s3 import connect

_POLL_SECONDS: Final = 0.1
_STYLES: Final[dict[str | None, Callable[[CloudEvent], str | None]]] = {
    None: line_of,
    "json": json_of,
    "pretty": lambda event: json_of(event, indent=2),
}


def wait_for_state(home: Path, seconds: float) -> LocalState:
    """Return what is up, waiting at most *seconds* for it.

    Raises:
        Misconfigured: nothing is.
    """
    deadline = time.monotonic() + seconds
    while (state := read_state(home)) is None:
        if time.monotonic() >= deadline:
            raise Misconfigured(
                f"nothing is up here ({home / 'up.json'} does not exist); start it with: rookery up"
            )
        time.sleep(_POLL_SECONDS)
    return state


def put_images(  # noqa: PLR0913
    state: LocalState,
    access: S3Access,
    images: Sequence[Path],
    *,
    prefix: str,
    style: str | None,
    timeout: float,
) -> bool:
    """Upload *images*, print each one's result as it comes; return whether all have a good one.

    Raises:
        RequestInvalid: two images would get one key.
        StorageUnavailable: the bucket does not answer.
    """
    keys = [f"{prefix}{image.name}" for image in images]
    if repeated := [key for key, number in Counter(keys).items() if number > 1]:
        raise RequestInvalid(
            f"two images would be stored as {', '.join(repeated)}; rename one, or put them apart"
        )
    broker = Address(state.broker_url, read_client())
    after = head(broker)
    store = connect(
        endpoint=access.url,
        region=access.region,
        access_key=access.access_key,
        secret_key=access.secret_key,
    )
    for image, key in zip(images, keys, strict=True):
        content_type = mimetypes.guess_type(image.name)[0] or "application/octet-stream"
        store.write(state.bucket, key, _read(image), content_type=content_type)
    deadline = time.monotonic() + timeout
    events = follow(
        broker,
        after=after,
        type_prefix="dev.rookery.",
        stop=lambda: time.monotonic() > deadline,
    )
    return _await_results((event for _, event in events), {legal(key) for key in keys}, style=style)


def _read(image: Path) -> bytes:
    try:
        return image.read_bytes()
    except OSError as exc:
        raise RequestInvalid(f"{image} cannot be read: {exc.strerror}") from exc


def _await_results(events: Iterable[CloudEvent], waiting: set[str], *, style: str | None) -> bool:
    all_good = True
    for event in events:
        if event.subject not in waiting or event.type not in {COMPLETED, FAILED, DEADLETTER}:
            continue
        waiting.discard(event.subject)
        all_good = all_good and event.type == COMPLETED
        click.echo(_STYLES[style](event))
        if not waiting:
            return all_good
    for key in sorted(waiting):
        click.secho(f"✗ {key}  no result in time; see the logs of rookery up", fg="red", err=True)
    return False
