"""What notifications lost, reconcile finds: exactly that, and once.

The hour without notifications is simulated: they are switched off, objects are uploaded, and
`--older-than 0s` stands for the time that would have passed.
"""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from rookery.images.sample import sample_jpeg
from rookery.local.access import ACCESS_KEY, REGION, SECRET_KEY
from whole_system import ROOT, System, home_with, running, wait_until

if TYPE_CHECKING:
    from rookery.storage.ceph.state import CephNode

JPEG = sample_jpeg(64, 48)
# Odd ones among them, because a listing names keys in its own way.
BEFORE = [f"before/{n}.jpg" for n in range(6)] + ["a b+c%20/é.jpg"]
MISSED = [f"missed/{n}.jpg" for n in range(5)] + ["a b+c%20/é.jpg-1", "日本.jpg", "missed"]


def reconcile(env: Mapping[str, str], *arguments: str) -> dict[str, int]:
    """Run the command to its end; return its summary."""
    done = subprocess.run(
        (sys.executable, "-m", "rookery", "reconcile", "--older-than=0s", "--json", *arguments),
        env={**os.environ, **env},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def keeping_system(models: Path, tmp_path: Path) -> Iterator[System]:
    """`rookery up` that keeps results in the bucket of its images."""
    with (
        (tmp_path / "up.log").open("w+") as log,
        running(
            home_with(models, tmp_path),
            log=log,
            ROOKERY_BACKEND="fixed",
            ROOKERY_RESULTS_BUCKET="images",
        ) as up,
    ):
        yield up


def test_what_the_embedded_bucket_did_not_announce_is_processed_and_nothing_else(
    keeping_system: System,
) -> None:
    system = keeping_system
    env = {
        "S3_ENDPOINT_URL": system.state.storage_url,
        "S3_ACCESS_KEY": ACCESS_KEY,
        "S3_SECRET_KEY": SECRET_KEY,
        "S3_BUCKET_NAME": "images",
        "ROOKERY_RESULTS_BUCKET": "images",
        "K_SINK": system.state.broker_url,
    }
    with closing(
        boto3.client(
            "s3",
            endpoint_url=system.state.storage_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
    ) as client:
        for key in BEFORE:
            system.put(key, JPEG)
        first = system.results(len(BEFORE), after=0)
        system.settle()
        client.put_bucket_notification_configuration(Bucket="images", NotificationConfiguration={})
        for key in MISSED:
            system.put(key, JPEG)
        found = reconcile(env)
        results = system.results(len(BEFORE) + len(MISSED), after=0)
        system.settle()
        again = reconcile(env)

    assert sorted(event.subject for event in first) == sorted(BEFORE)
    assert (found["missing"], found["emitted"], found["done"]) == (8, 8, 7)
    assert sorted(event.subject for event in results[len(BEFORE) :]) == sorted(MISSED)
    assert (again["missing"], again["emitted"], again["done"]) == (0, 0, 15)
    assert len(system.journal("dev.rookery.")) == len(BEFORE) + len(MISSED)


@dataclass(frozen=True)
class OnCeph:
    """A function that real Ceph pushes to, and what reconcile needs to know."""

    function: str
    env: Mapping[str, str]
    client: "boto3.client"
    switch_off: Callable[[], None]

    def completed(self) -> float:
        """How many objects the function has classified so far; repeats are not among them."""
        with urllib.request.urlopen(f"{self.function}/metrics") as answer:
            text = answer.read().decode()
        found = re.search(r'rookery_events_total\{outcome="completed"\} (\S+)', text)
        return float(found[1]) if found else 0.0

    def results(self) -> set[str]:
        listed = self.client.list_objects_v2(Bucket="photo-results")
        names = [one["Key"] for one in listed.get("Contents", ())]
        assert all(name.endswith(".json") and "failed" not in name for name in names), names
        return {name.removeprefix("results/photos/").rpartition("/")[0] for name in names}


@pytest.fixture
def on_ceph(ceph: "CephNode", environ: Mapping[str, str], tmp_path: Path) -> Iterator[OnCeph]:
    """One function on a bucket of real Ceph, a synchronous topic between them."""
    address = {
        "endpoint_url": ceph.endpoint,
        "region_name": ceph.region,
        "aws_access_key_id": ceph.access_key,
        "aws_secret_access_key": ceph.secret_key,
    }
    env = {
        **environ,
        "S3_ENABLED": "true",
        "S3_ENDPOINT_URL": ceph.endpoint,
        "S3_ACCESS_KEY": ceph.access_key,
        "S3_SECRET_KEY": ceph.secret_key,
        "S3_BUCKET_NAME": "photos",
        "ROOKERY_RESULTS_BUCKET": "photo-results",
    }
    client = boto3.client("s3", **address)
    sns = boto3.client("sns", config=Config(signature_version="v4"), **address)
    for bucket in ("photos", "photo-results"):
        client.create_bucket(Bucket=bucket)
    with (
        closing(client),
        closing(sns),
        (tmp_path / "function.log").open("w+") as log,
        serving(env, log) as url,
    ):
        topic = sns.create_topic(Name="photos", Attributes={"push-endpoint": url})["TopicArn"]
        client.put_bucket_notification_configuration(
            Bucket="photos",
            NotificationConfiguration={
                "TopicConfigurations": [
                    {"Id": "photos", "TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}
                ]
            },
        )
        switch_off = partial(delete_notifications, ceph, "photos")
        yield OnCeph(url, {**env, "K_SINK": url}, client, switch_off)
        switch_off()
        sns.delete_topic(TopicArn=topic)


def delete_notifications(ceph: "CephNode", bucket: str) -> None:
    """Ceph's own request, which boto3 does not know; AWS's empty configuration is refused by 16."""
    request = AWSRequest("DELETE", f"{ceph.endpoint}/{bucket}?notification=")
    keys = Credentials(ceph.access_key, ceph.secret_key)
    S3SigV4Auth(keys, "s3", ceph.region).add_auth(request)
    signed = request.prepare()
    deleting = urllib.request.Request(signed.url, headers=dict(signed.headers), method="DELETE")
    with urllib.request.urlopen(deleting) as answer:
        assert 200 <= answer.status < 300


@contextmanager
def serving(env: Mapping[str, str], log: IO[str]) -> Iterator[str]:
    """Serve the function; without a sink, so that its results are kept and nothing else."""
    with subprocess.Popen(
        (sys.executable, "-m", "rookery", "serve", f"{ROOT / 'functions' / 'classify'}/",
         "--host=127.0.0.1", "--port=0"),
        env=dict(env),
        stdout=log,
        stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            said = re.compile(r"listening on (http://\S+)")

            def listening() -> re.Match[str] | None:
                log.seek(0)
                return said.search(log.read())

            wait_until(lambda: listening() is not None, 60, "a listening function")
            found = listening()
            assert found is not None
            yield found[1]
        finally:
            process.terminate()
            process.wait(60)


def test_what_ceph_did_not_announce_is_processed_and_nothing_else(on_ceph: OnCeph) -> None:
    client = on_ceph.client
    for key in BEFORE:
        client.put_object(Bucket="photos", Key=key, Body=JPEG)
    # A synchronous topic: each PUT has waited for the function's answer.
    assert on_ceph.results() == set(BEFORE)
    on_ceph.switch_off()
    for key in MISSED:
        client.put_object(Bucket="photos", Key=key, Body=JPEG)
    # An overwrite is missed too, and what was there has a result already.
    client.put_object(Bucket="photos", Key=BEFORE[0], Body=sample_jpeg(48, 64))
    assert on_ceph.results() == set(BEFORE)

    found = reconcile(on_ceph.env)
    again = reconcile(on_ceph.env)

    assert (found["missing"], found["emitted"], found["done"]) == (9, 9, 6)
    assert on_ceph.results() == {*BEFORE, *MISSED}
    assert on_ceph.completed() == len(BEFORE) + len(MISSED) + 1
    assert (again["missing"], again["emitted"], again["done"]) == (0, 0, 15)
