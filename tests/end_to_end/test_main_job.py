"""An image put into a bucket comes out as a result event."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rookery.local.access import ACCESS_KEY, REGION, SECRET_KEY
from whole_system import PHOTOGRAPH, ROOT, System, data_of


def test_the_photograph_of_grace_hopper_is_recognized(system: System) -> None:
    after = system.head()

    system.put("grace hopper.jpg", PHOTOGRAPH.read_bytes())
    (result,) = system.results(1, after=after)

    assert result.type == "dev.rookery.inference.completed.v1"
    assert result.subject == "grace hopper.jpg"
    labels = [prediction["label"] for prediction in data_of(result)["predictions"]]
    assert "military uniform" in labels[:5]


@pytest.mark.parametrize(
    "key",
    [
        "a b.jpg",
        "a+b.jpg",
        "100%.jpg",
        "a%20b.jpg",
        "été/日本.jpg",
        "../../etc/passwd.jpg",
        "a&b=c?.jpg",
    ],
)
def test_odd_keys_arrive_as_they_were_written(system: System, key: str) -> None:
    after = system.head()

    system.put(key, PHOTOGRAPH.read_bytes())
    (result,) = system.results(1, after=after)

    assert (result.type, result.subject) == ("dev.rookery.inference.completed.v1", key)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (PHOTOGRAPH.read_bytes()[:20_000], "ImageUndecodable"),
        (b"this is no image", "ImageUndecodable"),
        (b"", "ImageEmpty"),
    ],
    ids=["truncated", "text", "empty"],
)
def test_a_bad_image_becomes_a_failed_event(system: System, data: bytes, error: str) -> None:
    after = system.head()

    system.put("bad.jpg", data)
    (result,) = system.results(1, after=after)

    assert result.type == "dev.rookery.inference.failed.v1"
    assert data_of(result)["error"]["code"] == error


def test_rookery_put_prints_the_result(system: System) -> None:
    done = _rookery(system, "put", "--json", str(PHOTOGRAPH))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["top_prediction"] == [["military uniform"]]


def test_rookery_put_fails_when_an_image_does(system: System, tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("not an image")

    done = _rookery(system, "put", str(tmp_path / "note.jpg"))

    assert done.returncode == 1
    assert "ImageUndecodable" in done.stdout


@pytest.mark.parametrize("size", [0, 9 * 1024 * 1024], ids=["put", "multipart"])
def test_the_real_aws_client_uploads(system: System, tmp_path: Path, size: int) -> None:
    photograph = tmp_path / f"aws-{size}.jpg"
    # Bytes after the end of a JPEG are nobody's business; they make awscli choose multipart.
    photograph.write_bytes(PHOTOGRAPH.read_bytes() + bytes(size))
    after = system.head()

    subprocess.run(
        (
            Path(sys.executable).parent / "aws", "--endpoint-url", system.state.storage_url,
            "s3", "cp", "--only-show-errors", photograph, f"s3://{system.state.bucket}/",
        ),
        env={
            **os.environ,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
        },
        check=True,
        timeout=60,
    )  # fmt: skip
    (result,) = system.results(1, after=after)

    assert result.type == "dev.rookery.inference.completed.v1"


def test_an_object_deleted_before_download_is_dead_lettered_and_reported(system: System) -> None:
    import urllib3

    after = system.head()
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-21T10:00:00Z",
        "s3": {"bucket": {"name": "images"}, "object": {"key": "gone.jpg", "eTag": "1"}},
    }
    accepted = urllib3.request(
        "POST",
        system.state.broker_url,
        body=json.dumps({"Records": [record]}),
        headers={
            "ce-specversion": "1.0",
            "ce-id": "gone",
            "ce-source": "/test",
            "ce-type": "com.amazonaws.s3.ObjectCreated:Put",
            "Content-Type": "application/json",
        },
        timeout=60,
    )
    assert accepted.status == 202
    (result,) = system.results(1, after=after)

    assert result.type == "dev.rookery.inference.failed.v1"
    assert data_of(result)["error"]["code"] == "ObjectGone"


def _rookery(system: System, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (sys.executable, "-m", "rookery", *arguments),
        env={**os.environ, "ROOKERY_HOME": str(system.home)},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
