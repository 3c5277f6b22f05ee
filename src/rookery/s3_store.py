"""The S3 that the settings name."""

from rookery.settings import Settings
from rookery.storage.s3 import Preloaded, S3Store, connect


def connect_to_s3(
    settings: Settings, *, concurrency: int, preloaded: Preloaded | None = None
) -> S3Store:
    """Make the store that *settings* name; the first read or write opens a connection.

    Args:
        settings: where it is, and the keys.
        concurrency: connections kept open for threads that read at the same time.
        preloaded: what `storage.s3.preload` returned.

    Raises:
        SettingsInvalid: no client can be made from these values.
    """
    return connect(
        endpoint=str(settings.s3_endpoint_url) if settings.s3_endpoint_url else None,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        access_key_file=settings.s3_access_key_file,
        secret_key_file=settings.s3_secret_key_file,
        ca_file=settings.s3_ca_file,
        concurrency=concurrency,
        preloaded=preloaded,
    )
