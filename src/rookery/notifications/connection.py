"""boto3's clients for notifications, at AWS or at a radosgw."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from rookery.errors import SettingsInvalid

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from pydantic import SecretStr

    from rookery.notifications.operations import S3Client, SnsClient

# What Ceph adds to S3: filters by metadata and tags, and deleting one notification by its id.
_MODELS: Final = Path(__file__).parent / "models"
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the store is and who we are there.

    Attributes:
        endpoint: the URL of S3 and SNS, or None for AWS.
        access_key: without it, boto3's own credential chain.
    """

    endpoint: str | None
    region: str
    access_key: "SecretStr | str | None" = None
    secret_key: "SecretStr | str | None" = field(default=None, repr=False)

    @property
    def store(self) -> str:
        """What messages call it."""
        return self.endpoint or f"AWS S3 ({self.region})"


def s3_client(connection: Connection) -> "S3Client":
    """Make an S3 client that knows Ceph's additions.

    Raises:
        SettingsInvalid: no client can be made from these values.
    """
    with _valid():
        client: S3Client = _session().client(
            "s3",
            region_name=connection.region,
            endpoint_url=connection.endpoint,
            aws_access_key_id=_reveal(connection.access_key),
            aws_secret_access_key=_reveal(connection.secret_key),
            config=_config(),
        )
    return client


def sns_client(connection: Connection) -> "SnsClient":
    """Make an SNS client, as `s3_client` does; Ceph has it at the same address."""
    with _valid():
        client: SnsClient = _session().client(
            "sns",
            region_name=connection.region,
            endpoint_url=connection.endpoint,
            aws_access_key_id=_reveal(connection.access_key),
            aws_secret_access_key=_reveal(connection.secret_key),
            config=_config(),
        )
    client.meta.events.register("before-call.sns", _escape_blanks)
    return client


def _session() -> "Session":
    import boto3.session  # noqa: PLC0415
    import botocore.loaders  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415

    loader = botocore.loaders.Loader(extra_search_paths=[str(_MODELS)])
    core = botocore.session.Session()
    core.register_component("data_loader", loader)
    return boto3.session.Session(botocore_session=core)


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


@contextmanager
def _valid() -> Iterator[None]:
    from botocore.exceptions import PartialCredentialsError  # noqa: PLC0415

    try:
        yield
    except (ValueError, PartialCredentialsError) as exc:
        raise SettingsInvalid(
            [f"S3_ENDPOINT_URL, S3_AWS_REGION, S3_ACCESS_KEY, S3_SECRET_KEY: {exc}"]
        ) from exc


def _escape_blanks(params: dict[str, object], **_: object) -> None:
    """Write a blank as %20: Ceph 16 does not read the + that botocore writes for it."""
    body = params["body"]
    if isinstance(body, Mapping):
        params["body"] = urlencode(body, quote_via=quote, safe="")


def _reveal(secret: "SecretStr | str | None") -> str | None:
    return secret if secret is None or isinstance(secret, str) else secret.get_secret_value()
