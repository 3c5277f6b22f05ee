"""The operations we use of boto3's generated clients, and the one that Ceph adds, as types."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NotRequired, Protocol, TypedDict

from rookery.notifications.s3_configuration import Configuration


class Answered(TypedDict):
    """What every answer holds."""

    HTTPHeaders: Mapping[str, str]


class Notifications(Configuration):
    """The answer to asking for a bucket's notifications."""

    ResponseMetadata: NotRequired[Answered]


class Named(TypedDict):
    """A bucket in a list."""

    Name: str


class _Arn(TypedDict):
    TopicArn: str


class _Topics(TypedDict, total=False):
    Topics: Sequence[_Arn]


class _TopicPages(Protocol):
    def paginate(self) -> Iterable[_Topics]: ...


class _Events(Protocol):
    def register(self, event: str, handler: Callable[..., None], /) -> None: ...


class _Meta(Protocol):
    @property
    def events(self) -> _Events: ...


class S3Client(Protocol):
    """S3; the last operation is Ceph's."""

    def list_buckets(self) -> Mapping[str, Sequence[Named]]:
        """Ask for the user's buckets."""
        ...

    def get_bucket_notification_configuration(
        self,
        *,
        Bucket: str,  # noqa: N803
    ) -> Notifications:
        """Ask for a bucket's notifications."""
        ...

    def put_bucket_notification_configuration(
        self,
        *,
        Bucket: str,  # noqa: N803
        NotificationConfiguration: Configuration,  # noqa: N803
    ) -> object:
        """Put notifications: AWS replaces all, Ceph those of the same id and topic."""
        ...

    def delete_bucket_notification(
        self,
        *,
        Bucket: str,  # noqa: N803
        NotificationId: str,  # noqa: N803
    ) -> object:
        """Delete one notification of this id, whichever comes first."""
        ...


class SnsClient(Protocol):
    """SNS, as Ceph has it."""

    @property
    def meta(self) -> _Meta:
        """What every client of botocore has."""
        ...

    def create_topic(self, *, Name: str, Attributes: Mapping[str, str]) -> _Arn:  # noqa: N803
        """Make a topic, or make it anew with these attributes alone."""
        ...

    def delete_topic(self, *, TopicArn: str) -> object:  # noqa: N803
        """Delete a topic and what it has queued."""
        ...

    def get_topic_attributes(
        self,
        *,
        TopicArn: str,  # noqa: N803
    ) -> Mapping[str, Mapping[str, str]]:
        """Ask for a topic."""
        ...

    def get_paginator(self, name: Literal["list_topics"], /) -> _TopicPages:
        """Return what lists topics."""
        ...
