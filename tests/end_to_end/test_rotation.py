"""Keys that change while everything runs: mounted Secrets, no restart, nothing lost."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from hashlib import md5
from http.client import HTTPConnection
from pathlib import Path

import pytest

from rookery.errors import StorageDenied
from rookery.serving.server import Server
from rookery.source import sqs
from rookery.storage import embedded, s3
from whole_system import ROOT

OLD = embedded.KeyPair("old-key", "old/secret+key=")
NEW = embedded.KeyPair("new-key", "new/secret+key=")


class ChangingStore:
    """The embedded S3 and SQS behind HTTP, whose one pair of keys can be changed."""

    def __init__(self) -> None:
        self.keys = OLD
        self.refused = 0
        app = embedded.application()
        embedded.provision(app, buckets=["images"], queue="images-events")

        def serve(environ, start_response):
            def count(status, headers):
                self.refused += status.startswith("403")
                return start_response(status, headers)

            return embedded.with_credentials(app, self.keys)(environ, count)

        self._server = Server(
            serve, host="127.0.0.1", port=0, threads=4, max_body_bytes=2**20, drain_seconds=1
        )
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()

    def close(self) -> None:
        self._server.stop()
        self._thread.join()


@pytest.fixture
def store() -> Iterator[ChangingStore]:
    changing = ChangingStore()
    yield changing
    changing.close()


@pytest.fixture
def mount(tmp_path) -> Callable[[embedded.KeyPair], dict[str, str]]:
    """Mount a pair of keys as Kubernetes mounts a Secret: a link that is swapped in one step."""
    versions = iter(range(100))

    def mounted(keys: embedded.KeyPair) -> dict[str, str]:
        folder = tmp_path / f"version-{next(versions)}"
        folder.mkdir()
        (folder / "access").write_text(f"{keys.access_key}\n")
        (folder / "secret").write_text(f"{keys.secret_key}\n")
        (tmp_path / "new").symlink_to(folder)
        (tmp_path / "new").replace(tmp_path / "current")
        return {
            "S3_ACCESS_KEY_FILE": str(tmp_path / "current" / "access"),
            "S3_SECRET_KEY_FILE": str(tmp_path / "current" / "secret"),
        }

    return mounted


def connect(store, files, **options):
    return s3.connect(
        endpoint=store.url,
        region="us-east-1",
        access_key_file=Path(files["S3_ACCESS_KEY_FILE"]),
        secret_key_file=Path(files["S3_SECRET_KEY_FILE"]),
        **options,
    )


def test_a_store_goes_on_with_the_new_keys(store, mount):
    client = connect(store, mount(OLD))
    client.write("images", "key", b"data", content_type="image/jpeg")
    mount(NEW)
    store.keys = NEW
    assert client.read("images", "key", version=None, max_bytes=10).data == b"data"
    assert store.refused == 0
    client.close()


def test_keys_that_change_between_signing_and_answer_are_tried_once_more(store, mount, monkeypatch):
    client = connect(store, mount(OLD))
    client.write("images", "key", b"data", content_type="image/jpeg")
    check = embedded.refusal

    def rotate(*arguments, **keys):
        if store.keys is OLD:
            mount(NEW)
            store.keys = NEW
            return "InvalidAccessKeyId"
        return check(*arguments, **keys)

    monkeypatch.setattr(embedded, "refusal", rotate)
    assert client.read("images", "key", version=None, max_bytes=10).data == b"data"
    assert store.refused == 1
    client.close()


def test_keys_that_stay_wrong_are_denied_after_one_more_try(store, mount):
    client = connect(store, mount(NEW))
    with pytest.raises(StorageDenied, match="S3_ACCESS_KEY"):
        client.read("images", "key", version=None, max_bytes=10)
    assert store.refused == 2
    mount(OLD)
    client.write("images", "key", b"data", content_type="image/jpeg")
    client.close()


def test_a_queue_goes_on_with_the_new_keys(store, mount):
    files = mount(OLD)
    queue = sqs.connect(
        embedded.queue_url(store.url, "images-events"),
        endpoint=store.url,
        region="us-east-1",
        access_key_file=Path(files["S3_ACCESS_KEY_FILE"]),
        secret_key_file=Path(files["S3_SECRET_KEY_FILE"]),
        wait_seconds=0,
    )
    queue.receive()
    mount(NEW)
    store.keys = NEW
    queue.receive()


def test_a_function_goes_on_with_the_new_keys(store, mount, launch, environ, jpeg):
    """A real function, which reads an object before and after both sides have changed the keys."""
    files = mount(OLD)
    writer = connect(store, files)
    env = {**environ, **files, "S3_ENABLED": "true", "S3_BUCKET_NAME": "images"}
    env |= {"S3_ENDPOINT_URL": store.url, "ROOKERY_DEDUP_SECONDS": "0"}
    command = (sys.executable, "-m", "rookery", "serve", str(ROOT / "functions" / "classify"))
    writer.write("images", "photo.jpg", jpeg, content_type="image/jpeg")
    with launch(command, env) as function:
        host = function.said(r"listening on http://(\S+)")[1]

        def announce() -> int:
            record = {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "eventTime": "2026-01-31T12:00:00Z",
                "s3": {
                    "bucket": {"name": "images"},
                    "object": {"key": "photo.jpg", "size": 1, "eTag": md5(jpeg).hexdigest()},
                },
            }
            connection = HTTPConnection(host, timeout=60)
            body = json.dumps({"Records": [record]})
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            status = connection.getresponse().status
            connection.close()
            return status

        assert announce() == 200
        store.keys = NEW  # the store first, as an administrator may
        assert announce() == 503  # which a broker tries again
        mount(NEW)
        assert announce() == 200
        assert "Traceback" not in function.text
    writer.close()
