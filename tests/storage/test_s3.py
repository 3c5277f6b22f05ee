"""The S3 adapter against servers that misbehave; the contract suite has the ones that behave."""

import logging
import os
import subprocess
import sys

import pytest
from pydantic import SecretStr

from misbehaving import TricklesAfter, raw_subscriber
from rookery.errors import (
    ObjectGone,
    ObjectReplaced,
    ObjectTooLarge,
    SettingsInvalid,
    StorageDenied,
    StorageUnavailable,
)
from rookery.storage import s3

SECRET = "do-not-tell"


def answer(status, code="", body=None, headers=()):
    body = f"<Error><Code>{code}</Code><Message>m</Message></Error>" if body is None else body
    framing = (f"Content-Length: {len(body)}", "Connection: close")
    return "\r\n".join([f"HTTP/1.1 {status}", *framing, *headers, "", body]).encode()


@pytest.fixture
def connect():
    stores = []

    def make(url, *, read=5.0, attempts=1):
        store = s3.connect(
            endpoint=url,
            region="us-east-1",
            access_key="someone",
            secret_key=SecretStr(SECRET),
            timeouts=s3.Timeouts(connect=2, read=read),
            attempts=attempts,
        )
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


def read(store, *, max_bytes=1024):
    return store.read("images", "a/photo.jpg", version=None, max_bytes=max_bytes).data


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("404 Not Found", "NoSuchKey", ObjectGone),
        ("404 Not Found", "NoSuchBucket", ObjectGone),
        ("404 Not Found", "NoSuchVersion", ObjectGone),
        ("404 Not Found", "", ObjectGone),
        ("405 Method Not Allowed", "MethodNotAllowed", ObjectGone),
        ("400 Bad Request", "InvalidArgument", ObjectGone),
        ("412 Precondition Failed", "PreconditionFailed", ObjectReplaced),
        ("412 Precondition Failed", "", ObjectReplaced),
        ("403 Forbidden", "InvalidAccessKeyId", StorageDenied),
        ("403 Forbidden", "SignatureDoesNotMatch", StorageDenied),
        ("403 Forbidden", "AccessDenied", StorageDenied),
        ("403 Forbidden", "", StorageDenied),
        ("401 Unauthorized", "", StorageDenied),
        ("400 Bad Request", "ExpiredToken", StorageDenied),
        ("500 Internal Server Error", "InternalError", StorageUnavailable),
        ("500 Internal Server Error", "", StorageUnavailable),
        ("503 Slow Down", "SlowDown", StorageUnavailable),
        ("502 Bad Gateway", "", StorageUnavailable),
    ],
)
def test_what_an_answer_means(connect, scripted_server, status, code, error):
    store = connect(scripted_server(answer(status, code)).url)

    with pytest.raises(error, match=r"images/a/photo\.jpg") as caught:
        read(store)

    assert type(caught.value) is error


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(answer("200 OK", body="x" * 10).replace(b" 10\r\n", b" 20\r\n"), id="short"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", id="chunked"),
        pytest.param(b"", id="closed without an answer"),
        pytest.param(b"\x00\xffgarbage\r\n\r\n", id="garbage"),
        pytest.param(answer("500 Oh", body="<Error><Co"), id="broken XML"),
        pytest.param(answer("500 Oh", body="<html>oh</html>"), id="HTML"),
    ],
)
def test_a_broken_answer_is_unavailable(connect, scripted_server, step):
    with pytest.raises(StorageUnavailable):
        read(connect(scripted_server(step).url))


def test_a_store_that_hangs_is_unavailable(connect, scripted_server):
    with pytest.raises(StorageUnavailable, match="timeout"):
        read(connect(scripted_server(None).url, read=0.1))


def test_an_object_that_trickles_in_is_unavailable(connect, monkeypatch):
    monkeypatch.setattr(s3, "_BODY_SECONDS", 0.5)
    trickling = TricklesAfter(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")

    with raw_subscriber(trickling) as server:
        with pytest.raises(StorageUnavailable, match=r"photo\.jpg did not come within 0\.5 s"):
            read(connect(server.url))

        assert trickling.hung_up.wait(20)


def test_a_store_that_is_down_is_unavailable(connect, unused_url):
    with pytest.raises(StorageUnavailable, match=unused_url):
        read(connect(unused_url))


def test_tries_again_when_told_to_slow_down(connect, scripted_server):
    server = scripted_server(answer("503 Slow Down", "SlowDown"), answer("200 OK", body="data"))

    assert read(connect(server.url, attempts=2)) == b"data"


def test_a_declared_length_over_the_limit_is_refused_unread(connect, scripted_server):
    # The server sends the head only: reading the body would wait for ever.
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"

    with pytest.raises(ObjectTooLarge, match=r"1,073,741,824 bytes"):
        read(connect(scripted_server(head).url))


def test_an_undeclared_length_over_the_limit_is_refused_while_streaming(connect, scripted_server):
    chunk = b"200\r\n" + b"x" * 0x200 + b"\r\n"
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 4

    with pytest.raises(ObjectTooLarge, match="more bytes"):
        read(connect(scripted_server(endless).url))


@pytest.mark.parametrize(("size", "asks"), [(0, False), (65_000, False), (2 * 1024**2, True)])
def test_only_a_large_upload_asks_before_it_is_sent(storage, size, asks):
    sent = []
    store = s3.connect(
        endpoint=storage.url,
        region="us-east-1",
        access_key=storage.client["aws_access_key_id"],
        secret_key=storage.client["aws_secret_access_key"],
    )
    store._client.meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: sent.append(request.headers)
    )

    store.write("images", f"size-{size}", bytes(size), content_type="image/jpeg")
    stored = store.read("images", f"size-{size}", version=None, max_bytes=size).data
    store.close()

    assert ["Expect" in headers for headers in sent] == [asks]
    assert stored == bytes(size)


def test_uses_path_style_addresses(connect, scripted_server):
    server = scripted_server(answer("200 OK", body="data"))

    read(connect(server.url))

    assert server.requests[0].startswith(b"GET /images/a/photo.jpg HTTP/1.1\r\n")


def test_asks_for_no_checksums(connect, scripted_server):
    server = scripted_server(answer("200 OK", body=""))

    connect(server.url).write("images", "photo.jpg", b"data", content_type="image/jpeg")

    assert b"checksum" not in server.requests[0].lower()


@pytest.mark.parametrize("status", ["403 Forbidden", "500 Oh"])
def test_the_secret_is_never_told(connect, scripted_server, caplog, status):
    with (
        caplog.at_level(logging.INFO),
        pytest.raises((StorageDenied, StorageUnavailable)) as caught,
    ):
        read(connect(scripted_server(answer(status)).url))

    assert SECRET not in f"{caught.value!r} {caplog.text}"


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": "not a url"},
        {"region": "no region!"},
        {"secret_key": None},
    ],
)
def test_settings_that_make_no_client_are_refused(changed):
    given = {"endpoint": None, "region": "us-east-1", "access_key": "a", "secret_key": "b"}

    with pytest.raises(SettingsInvalid, match="S3_ENDPOINT_URL"):
        s3.connect(**(given | changed))


def test_without_any_credentials_the_store_is_denied(unused_url, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    store = s3.connect(endpoint=unused_url, region="us-east-1")

    with pytest.raises(StorageDenied, match="set S3_ACCESS_KEY"):
        read(store)


def test_a_preloaded_store_reads(storage):
    store = s3.connect(
        endpoint=storage.url,
        region="us-east-1",
        access_key=storage.env["S3_ACCESS_KEY"],
        secret_key=storage.env["S3_SECRET_KEY"],
        preloaded=s3.preload(),
    )
    store.write("images", "preloaded", b"data", content_type="image/jpeg")

    assert store.read("images", "preloaded", version=None, max_bytes=10).data == b"data"


@pytest.mark.parametrize("profile", [{}, {"AWS_PROFILE": "work"}, {"AWS_PROFILE": "none"}], ids=str)
def test_preloading_opens_nothing_and_reads_no_credentials(tmp_path, profile):
    (tmp_path / ".aws").mkdir()
    for name in ("config", "credentials"):
        (tmp_path / ".aws" / name).write_text("[default]\naws_secret_access_key = planted\n")
    code = """
import os, sys, threading
before = dict(os.environ), sorted(os.listdir("/proc/self/fd")), threading.active_count()
opened = []
sys.addaudithook(lambda name, args: opened.append(str(args[0])) if name == "open" else None)
sys.addaudithook(lambda name, args: opened.append(name) if name == "socket.connect" else None)
from rookery.storage import s3
kept = s3.preload()
assert (dict(os.environ), sorted(os.listdir("/proc/self/fd")), threading.active_count()) == before
assert "socket.connect" not in opened
assert not [name for name in opened if ".aws" in name], opened
"""
    environ = {"PATH": os.defpath, "HOME": str(tmp_path), **profile}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)


@pytest.mark.parametrize("module", ["s3", "s3_errors", "embedded", "memory", "signature"])
def test_importing_loads_no_heavy_library(module):
    code = f"""
import sys
import rookery.storage.{module}
assert not {{"boto3", "botocore", "moto", "flask", "werkzeug"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
