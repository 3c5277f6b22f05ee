"""S3 through boto3: AWS, Ceph, MinIO, or the embedded one.

Made by `connect`, after a snapshot; `preload` may run before it and takes the slow part (importing
boto3, parsing its JSON models) out of `connect`, without a socket or a credential.
"""

import os
import re
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NotRequired, Protocol, TypedDict, cast

from rookery.aws_client import Access, create_client
from rookery.errors import ObjectReplaced, ObjectTooLarge, StorageUnavailable
from rookery.storage.protocol import StoredObject
from rookery.storage.s3_errors import translated
from rookery.storage.s3_listing import ListingClient, S3Listing

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from botocore.session import Session
    from pydantic import SecretStr

_CHUNK_BYTES: Final = 256 * 1024
# An image that takes longer is not worth the wait: whoever sent the event has given up by then.
_BODY_SECONDS: Final = 60.0
# From here on an upload first asks whether it is welcome; AWS's Go SDK draws the same line.
_EXPECT_BYTES: Final = 2 * 1024 * 1024
# RFC 9110, section 8.8.3, without what no header could carry as it is.
_ENTITY_TAG: Final = re.compile(r"[!#-~]+")


class _Stream(Protocol):
    """urllib3's response, below botocore's."""

    @property
    def length_remaining(self) -> int | None: ...
    def read1(self, amt: int) -> bytes: ...


class _Body(AbstractContextManager[_Stream], Protocol):
    def close(self) -> None: ...


class _Got(TypedDict):
    Body: _Body
    ContentLength: NotRequired[int]
    ETag: NotRequired[str]


class _Conditions(TypedDict, total=False):
    VersionId: str
    IfMatch: str


class _Client(ListingClient, Protocol):
    """The operations we use of boto3's generated client."""

    def get_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        VersionId: str = ...,  # noqa: N803
        IfMatch: str = ...,  # noqa: N803
    ) -> _Got: ...
    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes | bytearray,  # noqa: N803
        ContentType: str,  # noqa: N803
    ) -> object: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Preloaded:
    """What is the same for every client, and safe to keep across a snapshot.

    Attributes:
        loader: botocore's parsed service models.
        sessions: botocore's sessions that nobody has used: they have read no environment yet.
    """

    loader: "Loader"
    sessions: list["Session"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect, and to wait for each part of an answer; one attempt each."""

    connect: float = 2.0
    read: float = 10.0


class S3Store:
    """An object store behind one S3 client. Thread-safe, as boto3's clients are."""

    def __init__(self, client: _Client, endpoint: str) -> None:
        """Use *client*; messages call the store *endpoint*."""
        self._client = client
        self._endpoint = endpoint

    def read(
        self,
        bucket: str,
        key: str,
        *,
        version: str | None,
        max_bytes: int,
        etag: str | None = None,
    ) -> StoredObject:
        """Return the object, as the port says."""
        place = _place(bucket, key, version)
        conditions = _conditions(place, version, etag)
        with translated(place, self._endpoint):
            got = self._client.get_object(Bucket=bucket, Key=key, **conditions)
            body, length = got["Body"], got.get("ContentLength")
            try:
                if length is not None and length > max_bytes:
                    raise _too_large(place, f"{length:,}", max_bytes)
                return StoredObject(
                    _drain(body, place, max_bytes), got.get("ETag", "").strip('"') or None
                )
            finally:
                body.close()

    def write(self, bucket: str, key: str, data: bytes, *, content_type: str) -> None:
        """Store *data*, as the port says."""
        # boto3 makes a file of bytes, and sends `Expect: 100-continue` before every file: a round
        # trip in which nothing is sent. A bytearray it sends at once.
        body = data if len(data) >= _EXPECT_BYTES else bytearray(data)
        with translated(_place(bucket, key, None), self._endpoint):
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def listing(self) -> S3Listing:
        """Return what lists the buckets of the same store, over the same connections."""
        return S3Listing(self._client, self._endpoint)

    def close(self) -> None:
        """Close every pooled connection."""
        self._client.close()


def preload() -> Preloaded:
    """Import boto3 and parse the S3 model once: about 0.3 s that `connect` then saves."""
    import botocore.loaders  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    loader = botocore.loaders.Loader()
    # A client that is thrown away leaves the parsed models in the loader; it opens nothing, and
    # explicit dummy keys keep it from searching for real ones. Its session would all the same read
    # AWS's files with every profile's secrets, which would stay in memory: it gets empty ones.
    empty = (None, None, os.devnull, None)
    blind = botocore.session.Session(
        {"config_file": empty, "credentials_file": empty, "profile": (None, None, None, None)}
    )
    nowhere = Access("http://127.0.0.1", "us-east-1", "-", "-")
    create_client("s3", nowhere, Config(), loader=loader, core=blind)
    return Preloaded(loader, [botocore.session.Session()])


def connect(  # noqa: PLR0913
    *,
    endpoint: str | None,
    region: str,
    access_key: "SecretStr | str | None" = None,
    secret_key: "SecretStr | str | None" = None,
    access_key_file: Path | None = None,
    secret_key_file: Path | None = None,
    ca_file: Path | None = None,
    concurrency: int = 10,
    timeouts: Timeouts | None = None,
    attempts: int = 3,
    preloaded: Preloaded | None = None,
) -> S3Store:
    """Make a store; the first connection is opened by the first read or write.

    Args:
        endpoint: the S3 URL, or None for AWS.
        region: the region to sign for.
        access_key: without it and without files, boto3's own credential chain.
        secret_key: goes with *access_key*.
        access_key_file: holds the access key instead, and is read again when it changes.
        secret_key_file: goes with *access_key_file*.
        ca_file: authorities in PEM, in the place of the system's.
        concurrency: connections kept open for threads that read at the same time.
        timeouts: how long one attempt may take.
        attempts: tries per call, the first included; boto3's standard mode spaces them.
        preloaded: what `preload` returned.

    Raises:
        SettingsInvalid: no client can be made from these values.
    """
    from botocore.config import Config  # noqa: PLC0415

    limits = timeouts or Timeouts()
    config = Config(
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        max_pool_connections=concurrency,
        retries={"mode": "standard", "total_max_attempts": attempts},
        s3={"addressing_style": "path"},
        user_agent="rookery",  # boto3 builds its own anew for every request: 0.3 ms
        # The defaults add CRC trailers that Ceph before 19 and older MinIO refuse.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    access = Access(
        endpoint, region, access_key, secret_key, access_key_file, secret_key_file, ca_file
    )
    client = create_client(
        "s3",
        access,
        config,
        loader=None if preloaded is None else preloaded.loader,
        core=preloaded.sessions.pop() if preloaded is not None and preloaded.sessions else None,
    )
    return S3Store(cast("_Client", client), endpoint or f"AWS S3 ({region})")


def _conditions(place: str, version: str | None, etag: str | None) -> _Conditions:
    conditions = _Conditions()
    if version is not None:
        conditions["VersionId"] = version
    if etag is not None:
        if not _ENTITY_TAG.fullmatch(etag):
            raise ObjectReplaced(f"{place} cannot have the entity tag {etag[:80]!r}")
        conditions["IfMatch"] = f'"{etag}"'
    return conditions


def _drain(body: _Body, place: str, max_bytes: int) -> bytes:
    """Read *body* to its end, at most one byte further than *max_bytes*, within the time."""
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    chunks: list[bytes] = []
    left = max_bytes + 1
    deadline = time.monotonic() + _BODY_SECONDS
    try:
        # botocore's own `read` returns when it has all it was asked for, however long that takes.
        with body as stream:
            while left and (chunk := stream.read1(min(left, _CHUNK_BYTES))):
                chunks.append(chunk)
                left -= len(chunk)
                if time.monotonic() > deadline:
                    raise StorageUnavailable(f"{place} did not come within {_BODY_SECONDS:g} s")
            if left and stream.length_remaining:
                raise StorageUnavailable(f"{place} lacks its last {stream.length_remaining} bytes")
    except HTTPError as exc:
        raise StorageUnavailable(f"{place} broke off: {exc}") from exc
    if not left:
        raise _too_large(place, "more", max_bytes)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(place: str, size: str, max_bytes: int) -> ObjectTooLarge:
    return ObjectTooLarge(
        f"{place} has {size} bytes, the limit is {max_bytes:,}; "
        "upload a smaller image or raise ROOKERY_MAX_BODY_BYTES"
    )


def _place(bucket: str, key: str, version: str | None) -> str:
    return f"{bucket}/{key}" if version is None else f"{bucket}/{key} version {version}"
