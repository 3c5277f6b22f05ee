"""What an S3 bucket holds, through boto3: ListObjectsV2 page by page, HeadObject for one."""

import re
from collections.abc import MutableMapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NotRequired, Protocol, TypedDict

from rookery.errors import ObjectGone, StorageUnavailable
from rookery.storage.protocol import ListedObject, ListedPage
from rookery.storage.s3_errors import translated

if TYPE_CHECKING:
    from botocore.hooks import BaseEventHooks

# XML 1.0 knows no control characters but tab and line breaks, not even escaped. Where Ceph 16
# (escaped) and moto (as they are) repeat a key as start-after or token, which we never read, they
# write them all the same, and the page would be unreadable. Keys themselves come URL-encoded.
_ILLEGAL: Final = re.compile(rb"&#x(?:0?[0-8bcefBCEF]|1[0-9a-fA-F]);|[\x00-\x08\x0b\x0c\x0e-\x1f]")
_REPLACEMENT: Final = b"?"  # not nothing: botocore trips over an element that is empty
_RESULT: Final = b"<ListBucketResult"
_CALLED: Final = 500
# What S3 calls the version that was stored while the bucket kept none.
_NO_VERSION: Final = "null"


class _Listed(TypedDict):
    Key: str
    ETag: str
    Size: int
    LastModified: datetime


class _Page(TypedDict):
    Name: NotRequired[str]
    Contents: NotRequired[Sequence[_Listed]]
    IsTruncated: bool


class _Head(TypedDict):
    ETag: str
    ContentLength: int
    LastModified: datetime
    VersionId: NotRequired[str]


class _Meta(Protocol):
    @property
    def events(self) -> "BaseEventHooks": ...


class ListingClient(Protocol):
    """The operations we use of boto3's generated client."""

    @property
    def meta(self) -> _Meta:
        """The client's hooks."""
        ...

    def list_objects_v2(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str,  # noqa: N803
        StartAfter: str,  # noqa: N803
        MaxKeys: int,  # noqa: N803
    ) -> _Page:
        """ListObjectsV2."""
        ...

    def head_object(self, *, Bucket: str, Key: str) -> _Head:  # noqa: N803
        """HeadObject."""
        ...


class S3Listing:
    """Lists through one S3 client. Thread-safe, as boto3's clients are."""

    def __init__(self, client: ListingClient, endpoint: str) -> None:
        """Use *client*; messages call the store *endpoint*."""
        client.meta.events.register(
            "before-parse.s3.ListObjectsV2", _mend, unique_id="rookery-listing"
        )
        self._client = client
        self._endpoint = endpoint

    def page(
        self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> ListedPage:
        """Return the next objects, as the port says. S3 gives at most 1,000."""
        with translated(bucket, self._endpoint):
            # Every page starts after a key instead of from a token: nothing to keep, and
            # whoever was interrupted goes on from any key. boto3 has keys URL-encoded itself.
            found = self._client.list_objects_v2(
                Bucket=bucket, Prefix=prefix, StartAfter=after, MaxKeys=limit
            )
        if "Name" not in found:  # a web page is XML, too, and would be an empty bucket
            raise StorageUnavailable(
                f"{self._endpoint} does not list {bucket} as S3 does; check S3_ENDPOINT_URL"
            )
        objects = tuple(
            ListedObject(one["Key"], one["ETag"].strip('"'), one["Size"], one["LastModified"])
            for one in found.get("Contents", ())
        )
        return ListedPage(objects, more=found["IsTruncated"] and bool(objects))

    def find(self, bucket: str, key: str) -> ListedObject | None:
        """Return the newest version of *key*, as the port says."""
        try:
            with translated(f"{bucket}/{key}", self._endpoint):
                head = self._client.head_object(Bucket=bucket, Key=key)
        except ObjectGone:
            return None
        version = head.get("VersionId")
        return ListedObject(
            key,
            head["ETag"].strip('"'),
            head["ContentLength"],
            head["LastModified"],
            version=None if version == _NO_VERSION else version,
        )


def _mend(response_dict: MutableMapping[str, object], **_: object) -> None:
    """Make a page that repeats an odd key readable, before botocore parses it."""
    body = response_dict["body"]
    if not isinstance(body, bytes) or not _ILLEGAL.search(body):
        return
    response_dict["body"] = _ILLEGAL.sub(_REPLACEMENT, body)
    # botocore's own hook was here before, and calls every 200 that it cannot parse a 500.
    if _RESULT in body and response_dict["status_code"] == _CALLED:
        response_dict["status_code"] = 200
