"""However an object is stored: the entity tag of its notification is the one that reads it.

Reads are conditional on it, so a producer that says another tag would lose every event.
"""

import itertools
import json
import threading
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
import urllib3
from botocore.config import Config

from rookery.events.object_created import from_document
from rookery.storage import s3

PART = b"x" * 5 * 1024 * 1024
_numbers = itertools.count()


def put(client, bucket):
    client.put_object(Bucket=bucket, Key="a.jpg", Body=b"image")


def overwrite(client, bucket):
    put(client, bucket)
    client.put_object(Bucket=bucket, Key="a.jpg", Body=b"another")


def empty(client, bucket):
    client.put_object(Bucket=bucket, Key="a.jpg", Body=b"")


def copy(client, bucket):
    client.put_object(Bucket=bucket, Key="source.jpg", Body=b"image")
    client.copy_object(Bucket=bucket, Key="a.jpg", CopySource=f"{bucket}/source.jpg")


def multipart(client, bucket, key="a.jpg"):
    upload = {
        "Bucket": bucket,
        "Key": key,
        "UploadId": client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"],
    }
    parts = [
        {"PartNumber": n, "ETag": client.upload_part(**upload, PartNumber=n, Body=body)["ETag"]}
        for n, body in enumerate((PART, b"end"), 1)
    ]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def copy_of_multipart(client, bucket):
    multipart(client, bucket, key="source.jpg")
    client.copy_object(Bucket=bucket, Key="a.jpg", CopySource=f"{bucket}/source.jpg")


def form(client, bucket):
    post = client.generate_presigned_post(bucket, "a.jpg")
    fields = {**post["fields"], "file": ("a.jpg", b"image")}
    with urllib3.PoolManager() as pool:
        assert pool.request("POST", post["url"], fields=fields).status == 204


UPLOADS = [put, overwrite, empty, copy, multipart, copy_of_multipart]


@dataclass(frozen=True)
class Announcing:
    """A bucket that announces what is stored in it.

    Attributes:
        documents: everything it has announced, waiting a little where it takes its time.
    """

    client: object
    bucket: str
    store: s3.S3Store
    documents: Callable[[], list[object]]


@contextmanager
def webhook():
    """A server that keeps the bodies POSTed to it."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", bodies
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["embedded", "ceph"])
def announcing(request):
    bucket = f"announcing-{next(_numbers)}"
    if request.param == "embedded":
        address = request.getfixturevalue("storage").client
    else:
        node = request.getfixturevalue("ceph")
        address = {
            "endpoint_url": node.endpoint,
            "region_name": node.region,
            "aws_access_key_id": node.access_key,
            "aws_secret_access_key": node.secret_key,
        }
    store = s3.connect(
        endpoint=address["endpoint_url"],
        region=address["region_name"],
        access_key=address["aws_access_key_id"],
        secret_key=address["aws_secret_access_key"],
    )
    with closing(boto3.client("s3", **address)) as client, closing(store):
        client.create_bucket(Bucket=bucket)
        subscribe = queue if request.param == "embedded" else topic
        with subscribe(address, client, bucket) as documents:
            yield Announcing(client, bucket, store, documents)


@contextmanager
def queue(address, client, bucket):
    with closing(boto3.client("sqs", **address)) as sqs:
        url = sqs.create_queue(QueueName=bucket)["QueueUrl"]
        notify(client, bucket, "Queue", f"arn:aws:sqs:us-east-1:123456789012:{bucket}")

        def documents():
            found = []
            while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                found += [json.loads(message["Body"]) for message in got]
            return found

        yield documents


@contextmanager
def topic(address, client, bucket):
    config = Config(signature_version="v4")
    with closing(boto3.client("sns", config=config, **address)) as sns, webhook() as (url, bodies):
        arn = sns.create_topic(Name=bucket, Attributes={"push-endpoint": url})["TopicArn"]
        notify(client, bucket, "Topic", arn)
        # A synchronous topic: what is stored has been announced.
        yield lambda: bodies


def notify(client, bucket, kind, arn):
    configuration = {"Id": "all", f"{kind}Arn": arn, "Events": ["s3:ObjectCreated:*"]}
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={f"{kind}Configurations": [configuration]}
    )


def assert_announced_tag_reads(announcing, upload, *, versioned):
    client, bucket = announcing.client, announcing.bucket
    if versioned:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    upload(client, bucket)
    announced = [obj for each in announcing.documents() for obj in from_document(each)]
    newest = [obj for obj in announced if obj.key == "a.jpg"][-1]
    stored = announcing.store.read(
        bucket, "a.jpg", version=newest.version, max_bytes=10**8, etag=newest.etag
    )
    assert newest.etag is not None
    assert stored.etag == newest.etag


either_way = pytest.mark.parametrize("versioned", [False, True], ids=["plain", "versioned"])


@either_way
@pytest.mark.parametrize("upload", UPLOADS, ids=lambda upload: upload.__name__)
def test_the_announced_entity_tag_reads_the_object(announcing, upload, versioned):
    assert_announced_tag_reads(announcing, upload, versioned=versioned)


@either_way
@pytest.mark.parametrize("announcing", ["ceph"], indirect=True)  # the embedded one takes no forms
def test_the_announced_entity_tag_reads_what_a_form_has_posted(announcing, versioned):
    assert_announced_tag_reads(announcing, form, versioned=versioned)
