"""Makes the bucket that everything starts with."""

from typing import Protocol

from rookery.storage.ceph.state import CephNode
from rookery.storage.s3_errors import translate


class _Client(Protocol):
    """The operations we use of boto3's generated client."""

    def create_bucket(self, *, Bucket: str) -> object: ...  # noqa: N803
    def close(self) -> None: ...


def ensure_bucket(node: CephNode, bucket: str) -> None:
    """Make *bucket* in the running *node* where it is not there.

    Raises:
        RookeryError: it cannot be made, such as by its name; what `storage.s3` raises.
    """
    import boto3.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    client: _Client = boto3.session.Session().client(
        "s3",
        region_name=node.region,
        endpoint_url=node.endpoint,
        aws_access_key_id=node.access_key,
        aws_secret_access_key=node.secret_key,
        config=Config(connect_timeout=2, read_timeout=20, s3={"addressing_style": "path"}),
    )
    try:
        client.create_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError) as exc:
        raise translate(exc, place=bucket, endpoint=node.endpoint) from exc
    finally:
        client.close()
