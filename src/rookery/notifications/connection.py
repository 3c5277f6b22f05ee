"""boto3's clients for notifications, at AWS or at a radosgw."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote, urlencode

from rookery.aws_client import Access, create_client

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.loaders import Loader

    from rookery.notifications.operations import S3Client, SnsClient

# What Ceph adds to S3: filters by metadata and tags, and deleting one notification by its id.
_MODELS: Final = Path(__file__).parent / "models"
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Connection(Access):
    """Where the store is and who we are there; S3 and SNS have one address."""

    @property
    def store(self) -> str:
        """What messages call it."""
        return self.endpoint or f"AWS S3 ({self.region})"


def s3_client(connection: Connection) -> "S3Client":
    """Make an S3 client that knows Ceph's additions.

    Raises:
        SettingsInvalid: no client can be made from these values.
    """
    return cast("S3Client", create_client("s3", connection, _config(), loader=_loader()))


def sns_client(connection: Connection) -> "SnsClient":
    """Make an SNS client, as `s3_client` does; Ceph has it at the same address."""
    client = cast("SnsClient", create_client("sns", connection, _config(), loader=_loader()))
    client.meta.events.register("before-call.sns", _escape_blanks)
    return client


def _loader() -> "Loader":
    import botocore.loaders  # noqa: PLC0415

    return botocore.loaders.Loader(extra_search_paths=[str(_MODELS)])


def _config() -> "Config":
    from botocore.config import Config  # noqa: PLC0415

    return Config(
        connect_timeout=2.0,
        read_timeout=20.0,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        user_agent="rookery",
        s3={"addressing_style": "path"},
        # The defaults add CRC trailers that Ceph before 19 refuses.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _escape_blanks(params: dict[str, object], **_: object) -> None:
    """Write a blank as %20: Ceph 16 does not read the + that botocore writes for it."""
    body = params["body"]
    if isinstance(body, Mapping):
        params["body"] = urlencode(body, quote_via=quote, safe="")
