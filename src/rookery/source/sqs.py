"""Amazon SQS through boto3: AWS's own, or the embedded one."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from rookery.aws_client import Access, create_client, untrusted
from rookery.errors import QueueUnavailable
from rookery.source.protocol import Message

if TYPE_CHECKING:
    from pydantic import SecretStr

_log = logging.getLogger(__name__)

_BATCH: Final = 10  # the most SQS gives or takes at once
_SLACK_SECONDS: Final = 10.0
_RECEIVES: Final = "ApproximateReceiveCount"


class _Client(Protocol):
    """The operations we use of boto3's generated client."""

    def receive_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int,  # noqa: N803
        WaitTimeSeconds: int,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
        MessageSystemAttributeNames: Sequence[str],  # noqa: N803
    ) -> Mapping[str, Sequence["_Received"]]: ...

    def delete_message_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        Entries: Sequence[Mapping[str, str]],  # noqa: N803
    ) -> Mapping[str, Sequence[Mapping[str, str]]]: ...

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> object: ...


class _Received(Protocol):
    """One message as boto3 returns it: a dictionary."""

    def __getitem__(self, name: str, /) -> str: ...
    def get(self, name: str, default: Mapping[str, str], /) -> Mapping[str, str]: ...


class SqsQueue:
    """One SQS queue, long-polled. Thread-safe, as boto3's clients are."""

    def __init__(
        self, client: _Client, url: str, *, wait_seconds: int, visibility_seconds: int
    ) -> None:
        """Use *client* for the queue at *url*; the other arguments are those of `connect`."""
        self._client = client
        self._url = url
        self._wait_seconds = wait_seconds
        self._visibility_seconds = visibility_seconds

    def receive(self) -> tuple[Message, ...]:
        """Wait for up to ten messages, as the port says."""
        with self._translated():
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=self._wait_seconds,
                VisibilityTimeout=self._visibility_seconds,
                MessageSystemAttributeNames=[_RECEIVES],
            )
        return tuple(
            Message(
                id=found["MessageId"],
                receipt=found["ReceiptHandle"],
                body=found["Body"],
                receives=int(found.get("Attributes", {}).get(_RECEIVES, "1")),
            )
            for found in answer.get("Messages", ())
        )

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete up to ten messages in one request."""
        entries = [
            {"Id": str(index), "ReceiptHandle": message.receipt}
            for index, message in enumerate(messages)
        ]
        with self._translated():
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
        for failed in answer.get("Failed", ()):
            # It will be received again, and announced under the same event ids.
            _log.warning(
                "message %s was not deleted: %s", messages[int(failed["Id"])].id, failed["Code"]
            )

    def postpone(self, message: Message, seconds: int) -> None:
        """Set the message's visibility timeout."""
        with self._translated():
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except (ClientError, BotoCoreError) as exc:
            reason = untrusted(exc, self._url) if isinstance(exc, BotoCoreError) else None
            raise QueueUnavailable(reason or f"{self._url}: {' '.join(str(exc).split())}") from exc


def connect(  # noqa: PLR0913
    url: str,
    *,
    endpoint: str | None,
    region: str,
    access_key: "SecretStr | None" = None,
    secret_key: "SecretStr | None" = None,
    access_key_file: Path | None = None,
    secret_key_file: Path | None = None,
    ca_file: Path | None = None,
    wait_seconds: int = 20,
    visibility_seconds: int = 30,
    receivers: int = 2,
) -> SqsQueue:
    """Make a client for the queue at *url*; connects with the first receive.

    Args:
        url: the queue's URL.
        endpoint: the SQS endpoint, or None for AWS.
        region: the region to sign for.
        access_key: without it and without files, boto3's own credential chain.
        secret_key: goes with *access_key*.
        access_key_file: holds the access key instead, and is read again when it changes.
        secret_key_file: goes with *access_key_file*.
        ca_file: authorities in PEM, in the place of the system's.
        wait_seconds: how long a receive waits for a message, 0 to 20.
        visibility_seconds: for how long a message is lent.
        receivers: threads that receive at the same time.

    Raises:
        SettingsInvalid: no client can be made from these values.
    """
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=2.0,
        read_timeout=wait_seconds + _SLACK_SECONDS,
        max_pool_connections=2 * receivers,
        # The pump backs off by itself, and says so once.
        retries={"mode": "standard", "total_max_attempts": 1},
        user_agent="rookery",  # boto3 builds its own anew for every request: 0.3 ms
    )
    access = Access(
        endpoint, region, access_key, secret_key, access_key_file, secret_key_file, ca_file
    )
    client = create_client("sqs", access, config, endpoint_setting="--endpoint-url")
    return SqsQueue(
        cast("_Client", client),
        url,
        wait_seconds=wait_seconds,
        visibility_seconds=visibility_seconds,
    )
