"""boto3's clients: who signs, with keys that may change, and whom we believe.

What the adapters share that speak to S3, SQS and SNS.
"""

import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rookery.credentials import Secret, secret
from rookery.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.exceptions import BotoCoreError
    from botocore.loaders import Loader
    from botocore.session import Session
    from pydantic import SecretStr

_DENIED: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Access:
    """Where a service is, and how we speak to it.

    Attributes:
        endpoint: its URL, or None for AWS.
        region: the region to sign for.
        access_key: without it and without files, boto3's own credential chain.
        secret_key: goes with *access_key*.
        access_key_file: holds the access key instead, and is read again when it changes.
        secret_key_file: holds the secret key.
        ca_file: authorities in PEM, in the place of the system's.
    """

    endpoint: str | None
    region: str
    access_key: "SecretStr | str | None" = field(default=None, repr=False)
    secret_key: "SecretStr | str | None" = field(default=None, repr=False)
    access_key_file: Path | None = None
    secret_key_file: Path | None = None
    ca_file: Path | None = None


def create_client(  # noqa: PLR0913
    service: str,
    access: Access,
    config: "Config",
    *,
    loader: "Loader | None" = None,
    core: "Session | None" = None,
    endpoint_setting: str = "S3_ENDPOINT_URL",
) -> object:
    """Make boto3's client of *service*; it opens no connection.

    Certificates are always verified. With key files, what is refused is signed anew and tried once
    more, as the files may have changed a moment ago.

    Args:
        service: its name for boto3.
        access: where it is.
        config: everything else.
        loader: botocore's parsed models, where they are loaded already.
        core: botocore's session, where an unused one was made already.
        endpoint_setting: where the endpoint comes from, for messages.

    Raises:
        SettingsInvalid: no client can be made from these values.
    """
    import boto3.session  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415
    from botocore.exceptions import PartialCredentialsError  # noqa: PLC0415

    core = core or botocore.session.Session()
    if loader is not None:
        core.register_component("data_loader", loader)
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    following = _following(access)
    if following is not None:
        core.register_component("credential_provider", _Provider(following))
    try:
        client: object = boto3.session.Session(botocore_session=core).client(
            service,
            region_name=access.region,
            endpoint_url=access.endpoint,
            aws_access_key_id=_reveal(access.access_key),
            aws_secret_access_key=_reveal(access.secret_key),
            verify=_authorities(access.ca_file),
            config=config,
        )
    except (ValueError, PartialCredentialsError) as exc:
        raise SettingsInvalid(
            [f"{endpoint_setting}, S3_AWS_REGION, S3_ACCESS_KEY, S3_SECRET_KEY: {exc}"]
        ) from exc
    if following is not None:
        client.meta.events.register(  # type: ignore[attr-defined]
            f"needs-retry.{service}", _try_once_more, unique_id="rookery-rotation"
        )
    return client


def untrusted(error: "BotoCoreError", endpoint: str) -> str | None:
    """Say that the certificate of *endpoint* is not believed; None where *error* is another."""
    from botocore.exceptions import SSLError  # noqa: PLC0415

    if not isinstance(error, SSLError):
        return None
    reason = str(error).rpartition("] ")[2].partition(" (_ssl")[0]
    return (
        f"the TLS certificate of {endpoint} is not trusted: {reason}; set S3_CA_FILE to the "
        "authority that issued it, or use the host name that it was made for"
    )


def _moment(text: str | float) -> datetime:
    """Read a time of an answer; botocore's own reader tries formats for 0.1 ms, in a page 1,000."""
    from botocore.utils import parse_timestamp  # noqa: PLC0415

    if isinstance(text, str):
        for read in (datetime.fromisoformat, parsedate_to_datetime):
            try:
                moment = read(text)
            except ValueError:
                continue
            if moment.tzinfo is not None:
                return moment
    return parse_timestamp(str(text))


class _Provider:
    """The one provider of credentials of a session."""

    def __init__(self, credentials: "Credentials") -> None:
        self._credentials = credentials

    def load_credentials(self) -> "Credentials":
        return self._credentials


def _following(access: Access) -> "Credentials | None":
    """Return credentials that are what the files hold whenever something is signed."""
    if access.access_key_file is None or access.secret_key_file is None:
        return None
    from botocore.credentials import Credentials, ReadOnlyCredentials  # noqa: PLC0415

    class Following(Credentials):
        def __init__(self, key: Secret, secret_key: Secret) -> None:
            super().__init__(key(), secret_key(), method="rookery-files")
            self._read = (key, secret_key)

        def get_frozen_credentials(self) -> ReadOnlyCredentials:
            key, secret_key = self._read
            return ReadOnlyCredentials(key(), secret_key(), None)

    return Following(
        secret(access.access_key_file, setting="S3_ACCESS_KEY_FILE"),
        secret(access.secret_key_file, setting="S3_SECRET_KEY_FILE"),
    )


def _try_once_more(
    response: "tuple[object, Mapping[str, Mapping[str, object]]] | None", attempts: int, **_: object
) -> float | None:
    """Return after how many seconds botocore shall sign and send again; None for never."""
    if attempts > 1 or response is None:
        return None
    status = response[1].get("ResponseMetadata", {}).get("HTTPStatusCode")
    return 0.0 if status in _DENIED else None


def _authorities(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        ssl.create_default_context(cafile=str(file))
    except (ssl.SSLError, OSError) as exc:
        reason = "it holds no certificates in PEM" if isinstance(exc, ssl.SSLError) else exc
        raise SettingsInvalid([f"S3_CA_FILE: {file} cannot be used: {reason}"]) from exc
    return str(file)


def _reveal(value: "SecretStr | str | None") -> str | None:
    return value if value is None or isinstance(value, str) else value.get_secret_value()
