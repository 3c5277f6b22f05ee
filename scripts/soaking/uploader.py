"""The client of a soak: patient, and honest about what it had to send twice."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tally import Stored
from workload import PART_BYTES, Upload, contents

Answer = TypeVar("Answer")

_THREADS = 4
_PAUSE_SECONDS = 0.25


class Uploader:
    """Uploads everything, whatever happens to the store meanwhile."""

    def __init__(
        self, endpoint: str, access_key: str, secret_key: str, bucket: str, photographs: list[bytes]
    ) -> None:
        """Upload *photographs* to *bucket* at *endpoint*."""
        self.stored = Stored()
        self.failures = 0
        self._bucket = bucket
        self._photographs = photographs
        self._lock = threading.Lock()
        # Our own loop counts the repeats; boto3 would hide them.
        self._client: BaseClient = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                connect_timeout=2,
                read_timeout=20,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
            ),
        )

    def run(self, uploads: Sequence[Upload], on_done: Callable[[], None]) -> None:
        """Upload all, a few at a time; return when the store has acknowledged every one."""
        with ThreadPoolExecutor(_THREADS) as pool:
            for done in [pool.submit(self._upload, upload) for upload in uploads]:
                done.result()
                on_done()

    def _upload(self, upload: Upload) -> None:
        versions = contents(upload, self._photographs)
        tags = [self._store(upload, data) for data in versions]
        with self._lock:
            self.stored.gone.update((upload.key, tag) for tag in tags[:-1])
        if upload.kind == "deleted":
            with self._lock:
                self.stored.gone.add((upload.key, tags[-1]))
            self._insist(lambda: self._client.delete_object(Bucket=self._bucket, Key=upload.key))

    def _store(self, upload: Upload, data: bytes) -> str:
        send = self._put_parts if upload.kind == "multipart" else self._put
        answers, attempts = self._insist(lambda: send(upload.key, data))
        tag = answers.strip('"')
        with self._lock:
            self.stored.attempts[upload.key, tag] = attempts
        return tag

    def _put(self, key: str, data: bytes) -> str:
        answer = self._client.put_object(
            Bucket=self._bucket, Key=key, Body=data, ContentType="image/jpeg"
        )
        return str(answer["ETag"])

    def _put_parts(self, key: str, data: bytes) -> str:
        place = {"Bucket": self._bucket, "Key": key}
        upload_id = self._client.create_multipart_upload(**place)["UploadId"]
        parts = []
        for number, start in enumerate(range(0, len(data), PART_BYTES), 1):
            answer = self._client.upload_part(
                **place,
                UploadId=upload_id,
                PartNumber=number,
                Body=data[start : start + PART_BYTES],
            )
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        answer = self._client.complete_multipart_upload(
            **place, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
        return str(answer["ETag"])

    def _insist(self, send: Callable[[], Answer]) -> tuple[Answer, int]:
        """Send until it is acknowledged; return the answer, and after how many attempts."""
        attempts = 1
        while True:
            try:
                return send(), attempts
            except (ClientError, BotoCoreError):
                attempts += 1
                with self._lock:
                    self.failures += 1
                time.sleep(_PAUSE_SECONDS)
