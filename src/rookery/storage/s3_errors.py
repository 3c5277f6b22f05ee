"""botocore's exceptions in our terms: the one table, most specific first."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rookery.aws_client import untrusted
from rookery.errors import (
    ObjectGone,
    ObjectReplaced,
    RookeryError,
    StorageDenied,
    StorageUnavailable,
)

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

# What the store answered: error code, or HTTP status where the code says nothing (HEAD has no
# body, and some gateways answer plain text).
_BY_CODE: Final[dict[str, type[RookeryError]]] = {
    "NoSuchKey": ObjectGone,
    "NoSuchBucket": ObjectGone,
    "NoSuchVersion": ObjectGone,
    "MethodNotAllowed": ObjectGone,  # the version named is a delete marker
    "InvalidArgument": ObjectGone,  # how AWS answers a version id it cannot have given out
    "InvalidBucketName": ObjectGone,
    "KeyTooLongError": ObjectGone,
    "NotFound": ObjectGone,
    "404": ObjectGone,
    "PreconditionFailed": ObjectReplaced,
    "InvalidAccessKeyId": StorageDenied,
    "SignatureDoesNotMatch": StorageDenied,
    "AccessDenied": StorageDenied,
    "ExpiredToken": StorageDenied,
    "InvalidToken": StorageDenied,
    "AuthorizationHeaderMalformed": StorageDenied,  # signed for another region
    "RequestTimeTooSkewed": StorageDenied,
    "AllAccessDisabled": StorageDenied,
    "SlowDown": StorageUnavailable,
    "RequestTimeout": StorageUnavailable,
}
_CHECK: Final = "check S3_ACCESS_KEY, S3_SECRET_KEY (or their files) and the bucket's policy"
_ADVICE: Final = {
    "RequestTimeTooSkewed": "check this machine's clock, which signatures name",
    "AuthorizationHeaderMalformed": "check S3_AWS_REGION, which it was signed for",
}
_BY_STATUS: Final[dict[int, type[RookeryError]]] = {
    401: StorageDenied,
    403: StorageDenied,
    404: ObjectGone,
    405: ObjectGone,
    410: ObjectGone,
    412: ObjectReplaced,
}


@contextmanager
def translated(place: str, endpoint: str) -> Iterator[None]:
    """Raise our errors for botocore's, about *place* (bucket/key) at *endpoint*."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except (ClientError, BotoCoreError) as exc:
        raise translate(exc, place=place, endpoint=endpoint) from exc


def translate(error: "ClientError | BotoCoreError", *, place: str, endpoint: str) -> RookeryError:
    """Return our error for what botocore raised about *place* (bucket/key) at *endpoint*."""
    from botocore.exceptions import (  # noqa: PLC0415
        ClientError,
        NoCredentialsError,
        ParamValidationError,
        PartialCredentialsError,
    )

    if isinstance(error, ClientError):
        return _answered(error, place, endpoint)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return StorageDenied(
            f"no complete S3 credentials for {endpoint}: set S3_ACCESS_KEY and S3_SECRET_KEY"
        )
    if isinstance(error, ParamValidationError):
        return ObjectGone(f"{place} can name no object: {_one_line(error)}")
    return StorageUnavailable(
        untrusted(error, endpoint) or f"{endpoint} failed on {place}: {_one_line(error)}"
    )


def _answered(error: "ClientError", place: str, endpoint: str) -> RookeryError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status) or StorageUnavailable
    answer = f"{code or 'no error code'}, HTTP {status}"
    if kind is ObjectGone:
        return ObjectGone(f"{endpoint} has no {place} ({answer})")
    if kind is ObjectReplaced:
        return ObjectReplaced(
            f"{place} was overwritten since it was announced ({answer}); "
            "the newer upload has its own event"
        )
    if kind is StorageDenied:
        return StorageDenied(
            f"{endpoint} refuses our request for {place} ({answer}): {_ADVICE.get(code, _CHECK)}"
        )
    return StorageUnavailable(f"{endpoint} failed on {place} ({answer})")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
