"""Where the bucket of `rookery up` is, and who we are there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rookery.errors import CephInvalid
from rookery.local.state import LocalState
from rookery.storage.ceph.state import CephNode, read_node

HOST: Final = "127.0.0.1"
REGION: Final = "us-east-1"
# Not a secret: the embedded bucket listens on loopback and forgets everything when it stops.
ACCESS_KEY: Final = "rookery"
SECRET_KEY: Final = "rookery-local"  # noqa: S105


@dataclass(frozen=True, slots=True)
class S3Access:
    """An S3 endpoint, and what to sign with there."""

    url: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)

    def env(self, bucket: str) -> Mapping[str, str]:
        """Return the settings of a process that uses *bucket* there."""
        return {
            "S3_ENABLED": "true",
            "S3_ENDPOINT_URL": self.url,
            "S3_ACCESS_KEY": self.access_key,
            "S3_SECRET_KEY": self.secret_key,
            "S3_BUCKET_NAME": bucket,
            "S3_AWS_REGION": self.region,
            # What the user has set for another store does not belong to this one.
            "S3_ACCESS_KEY_FILE": "",
            "S3_SECRET_KEY_FILE": "",
            "S3_CA_FILE": "",
        }


def to_embedded(url: str) -> S3Access:
    """Return what reaches the embedded S3 at *url*."""
    return S3Access(url, REGION, ACCESS_KEY, SECRET_KEY)


def to_ceph(node: CephNode) -> S3Access:
    """Return what reaches the local Ceph."""
    return S3Access(node.endpoint, node.region, node.access_key, node.secret_key)


def to_what_is_up(state: LocalState, home: Path) -> S3Access:
    """Return what reaches the bucket of *state*, which keeps no keys.

    Raises:
        CephInvalid: it is in a Ceph that is no longer here.
    """
    if not state.ceph:
        return to_embedded(state.storage_url)
    if (node := read_node(home)) is None:
        raise CephInvalid(
            f"the Ceph that rookery up works on is no longer in {home}; end rookery up"
        )
    return to_ceph(node)
