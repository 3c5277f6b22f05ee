"""Ceph cannot set a header: it sends the receiver's token in the URL that it pushes to."""

import sys

import boto3
import pytest
from botocore.config import Config

from rookery.credentials import Outgoing
from rookery.errors import RequestInvalid
from rookery.events.broker.client import Address, head, read

TOKEN = "receiver-token"


@pytest.fixture
def receiver(launch, environ, tmp_path, unused_url):
    command = (
        sys.executable, "-m", "rookery", "source", "ceph", "--port=0", f"--sink={unused_url}",
        f"--journal={tmp_path / 'receiver.db'}",
    )  # fmt: skip
    with launch(command, {**environ, "ROOKERY_INGRESS_TOKEN": TOKEN}) as process:
        yield process.said(r"listening on (http://\S+)")[1]


def client(service, ceph):
    return boto3.client(
        service,
        endpoint_url=ceph.endpoint,
        region_name="default",
        aws_access_key_id=ceph.access_key,
        aws_secret_access_key=ceph.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def notify(ceph, bucket, endpoint):
    s3, sns = client("s3", ceph), client("sns", ceph)
    s3.create_bucket(Bucket=bucket)
    topic = sns.create_topic(Name=bucket, Attributes={"push-endpoint": endpoint})["TopicArn"]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "TopicConfigurations": [
                {"Id": bucket, "TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )
    s3.put_object(Bucket=bucket, Key="photo.jpg", Body=b"x")
    s3.close()
    sns.close()


def test_ceph_gets_in_with_the_token_in_its_url_and_not_without(ceph, receiver):
    broker = Address(receiver, Outgoing(lambda: (TOKEN,)))
    # Synchronous topics: when the upload is answered, the receiver has answered.
    notify(ceph, "without-token", f"{receiver}/")
    assert head(broker) == 0
    notify(ceph, "with-token", f"{receiver}/?access_token={TOKEN}")
    ((_, event),) = read(broker, after=0)
    assert "with-token" in event.source + event.data.decode()
    assert TOKEN not in str(event)
    with pytest.raises(RequestInvalid, match="ROOKERY_SINK_TOKEN"):
        head(receiver)
