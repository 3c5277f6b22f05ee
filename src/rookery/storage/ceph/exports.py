"""The node as environment variables, and those as lines that any POSIX shell evaluates."""

import shlex
from collections.abc import Mapping
from typing import Final

from rookery.storage.ceph.state import CephNode

# A token or a file that belongs to another store would go with, or before, these keys.
_STRONGER: Final = ("AWS_SESSION_TOKEN", "S3_ACCESS_KEY_FILE", "S3_SECRET_KEY_FILE", "S3_CA_FILE")


def variables(node: CephNode, *, bucket: str) -> Mapping[str, str]:
    """Return what points Rookery, the aws command and boto3 at *node*. Holds secrets.

    Args:
        node: the node; its keys and its address.
        bucket: the bucket that Rookery's functions may read from.
    """
    return {
        "S3_ENABLED": "true",
        "S3_ENDPOINT_URL": node.endpoint,
        "S3_ACCESS_KEY": node.access_key,
        "S3_SECRET_KEY": node.secret_key,
        "S3_AWS_REGION": node.region,
        "S3_BUCKET_NAME": bucket,
        "AWS_ENDPOINT_URL": node.endpoint,
        "AWS_ACCESS_KEY_ID": node.access_key,
        "AWS_SECRET_ACCESS_KEY": node.secret_key,
        "AWS_DEFAULT_REGION": node.region,
    }


def shell_exports(node: CephNode, *, bucket: str) -> str:
    """Write `variables` as export commands, and unset what would win over them. Holds secrets."""
    exported = variables(node, bucket=bucket).items()
    lines = (f"export {name}={shlex.quote(value)}" for name, value in exported)
    return "\n".join([f"unset {' '.join(_STRONGER)}", *lines])
