"""botocore's exceptions about notifications, in our terms."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rookery.errors import NotificationsRefused, ObjectGone, RookeryError, StorageUnavailable
from rookery.storage.s3_errors import translate

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

    from rookery.notifications.connection import Connection


@contextmanager
def translated(place: str, connection: "Connection") -> Iterator[None]:
    """Raise our errors for botocore's, about *place* (a bucket, a topic) of *connection*."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        yield
    except (ClientError, BotoCoreError) as exc:
        raise _error(exc, place, connection) from exc
    except ResponseParserError as exc:  # SNS's answers; those of S3 are a BotoCoreError then
        raise NotificationsRefused(
            f"{connection.store} does not answer {place} in XML; check S3_ENDPOINT_URL"
        ) from exc


def _error(
    error: "ClientError | BotoCoreError", place: str, connection: "Connection"
) -> RookeryError:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    if not isinstance(error, ClientError):
        return translate(error, place=place, endpoint=connection.store)
    # Ceph's SNS puts the code where AWS's puts a structure with it inside.
    told = error.response.setdefault("Error", {})
    code = told.setdefault("Code", str(error.response.get("Code", "")))
    found = translate(error, place=place, endpoint=connection.store)
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code == "NoSuchBucket":
        return NotificationsRefused(
            f"{place}: there is no such bucket at {connection.store}; "
            "make it first: aws s3 mb s3://BUCKET"
        )
    refused = isinstance(found, StorageUnavailable) and 400 <= status < 500  # noqa: PLR2004
    if not refused and not isinstance(found, ObjectGone):
        return found
    said = f": {told['Message']}" if told.get("Message") else ""
    answer = f"{code or 'no error code'}, HTTP {status}"
    return NotificationsRefused(f"{connection.store} refuses {place} ({answer}){said}")
