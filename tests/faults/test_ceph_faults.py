"""A real Ceph under a real `rookery up --ceph`: whatever fails, every upload has its one end."""

import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import urllib3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ceph_nodes import running_node
from rookery.errors import StorageUnavailable
from rookery.events.broker.client import dead_letters
from rookery.events.result import COMPLETED, FAILED
from rookery.events.wire import CloudEvent
from rookery.storage import s3
from rookery.storage.ceph import daemons
from rookery.storage.ceph.control import start_daemon, stop_daemon
from rookery.storage.ceph.daemons import OSD, RGW
from rookery.storage.ceph.state import CephNode
from whole_system import PHOTOGRAPH, System, data_of, running, wait_until

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

# A persistent topic needs up to 10 s for one event in an idle Ceph, more on a busy machine.
PATIENCE = 150.0


@pytest.fixture(scope="module")
def home(fixed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("ceph-faults")
    (home / "models").symlink_to(fixed_home / "models")
    return home


@pytest.fixture(scope="module")
def node(home: Path) -> Iterator[CephNode]:
    with running_node(home, "bluestore") as node:
        yield node


@pytest.fixture(scope="module")
def system(home: Path, node: CephNode) -> Iterator[System]:
    assert node.folder.is_relative_to(home.resolve())
    with (
        (home / "up.log").open("w+") as log,
        running(
            home, "--ceph", "--receiver-port=0", log=log,
            ROOKERY_MODEL="penguins", ROOKERY_BACKEND="fixed",
        ) as up,
    ):  # fmt: skip
        yield up


@pytest.fixture
def client(node: CephNode) -> BaseClient:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=node.endpoint,
        region_name=node.region,
        aws_access_key_id=node.access_key,
        aws_secret_access_key=node.secret_key,
        config=Config(
            retries={"total_max_attempts": 1},
            read_timeout=5,
            s3={"addressing_style": "path"},
        ),
    )


def results_of(system: System, keys: list[str]) -> list[CloudEvent]:
    """Every event of ours about *keys*, once each has one and all is settled."""

    def found() -> list[CloudEvent]:
        return [event for event in system.journal("dev.rookery.") if event.subject in keys]

    wait_until(
        lambda: {event.subject for event in found()} == set(keys),
        PATIENCE,
        f"an outcome for each of {len(keys)} uploads",
    )
    system.settle(PATIENCE)
    return found()


def upload_until_it_is_stored(client: BaseClient, bucket: str, key: str, data: bytes) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.put_object(Bucket=bucket, Key=key, Body=data)
        except (ClientError, BotoCoreError):
            assert time.monotonic() < deadline, f"{key} cannot be stored"
            time.sleep(0.2)
        else:
            return


def test_a_download_that_radosgw_dies_in_is_unavailable_and_not_a_short_image(
    node: CephNode, client: BaseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_bucket(Bucket="downloads")
    data = random.Random(1).randbytes(48 * 1024 * 1024)
    client.put_object(Bucket="downloads", Key="large.bin", Body=data)
    store = s3.connect(
        endpoint=node.endpoint,
        region=node.region,
        access_key=node.access_key,
        secret_key=node.secret_key,
        attempts=1,
    )
    drain = s3._drain

    def drain_while_it_dies(body, place, max_bytes):
        body.read(1024)
        daemons.kill(node.folder, RGW)
        return drain(body, place, max_bytes)

    with monkeypatch.context() as patched:
        patched.setattr(s3, "_drain", drain_while_it_dies)
        with pytest.raises(StorageUnavailable):
            store.read("downloads", "large.bin", version=None, max_bytes=len(data))
    start_daemon(node.conf, RGW)
    wait_until(lambda: _is_listed(client, "downloads"), 60, "radosgw")

    found = store.read("downloads", "large.bin", version=None, max_bytes=len(data))
    assert found.data == data


def _is_listed(client: BaseClient, bucket: str) -> bool:
    try:
        client.head_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError):
        return False
    return True


def test_uploads_while_radosgw_is_killed_have_one_result_each(
    system: System, node: CephNode, client: BaseClient
) -> None:
    photograph = PHOTOGRAPH.read_bytes()
    keys = [f"radosgw-killed/{number}.jpg" for number in range(40)]
    done = threading.Event()

    def upload() -> None:
        for key in keys:
            upload_until_it_is_stored(client, system.state.bucket, key, photograph)
        done.set()

    uploader = threading.Thread(target=upload)
    uploader.start()
    for _ in range(3):
        done.wait(0.5)
        daemons.kill(node.folder, RGW)
        start_daemon(node.conf, RGW)
        wait_until(lambda: _is_listed(client, system.state.bucket), 60, "radosgw")
    uploader.join()

    results = results_of(system, keys)

    assert {event.type for event in results} == {COMPLETED}


def test_uploads_while_the_osd_is_down_for_half_a_minute_have_one_result_each(
    system: System, node: CephNode, client: BaseClient
) -> None:
    photograph = PHOTOGRAPH.read_bytes()
    keys = [f"osd-down/{number}.jpg" for number in range(10)]

    def upload() -> None:
        for key in keys:
            upload_until_it_is_stored(client, system.state.bucket, key, photograph)

    stop_daemon(node.folder, OSD)
    uploader = threading.Thread(target=upload)
    uploader.start()
    threading.Event().wait(30)  # the fault itself
    start_daemon(node.conf, OSD)
    uploader.join()

    results = results_of(system, keys)

    assert {event.type for event in results} == {COMPLETED}


def test_what_is_uploaded_while_the_receiver_hangs_for_a_minute_comes_after_it(
    system: System,
) -> None:
    photograph = PHOTOGRAPH.read_bytes()
    keys = [f"receiver-down/{number}.jpg" for number in range(20)]

    with system.frozen("source"):
        for key in keys:
            system.put(key, photograph)
        threading.Event().wait(60)  # the fault itself

    results = results_of(system, keys)

    assert sorted(event.subject or "" for event in results) == sorted(keys)
    assert {event.type for event in results} == {COMPLETED}


def test_a_function_killed_in_the_middle_of_images_answers_each_after_its_restart(
    system: System,
) -> None:
    # Large enough that a kill hits decoding more often than not.
    photograph = PHOTOGRAPH.read_bytes()
    keys = [f"function-killed/{number}.jpg" for number in range(60)]
    uploaded = threading.Event()

    def upload() -> None:
        for key in keys:
            system.put(key, photograph)
        uploaded.set()

    uploader = threading.Thread(target=upload)
    uploader.start()
    luck = random.Random(5)
    for _ in range(3):
        wait_until(lambda: system.pid("classify") is not None, 60, "restart of the function")
        uploaded.wait(luck.uniform(0.1, 0.8))
        system.kill("classify")
    uploader.join()

    results = results_of(system, keys)

    assert sorted(event.subject or "" for event in results) == sorted(keys)
    assert {event.type for event in results} == {COMPLETED}


def test_an_object_deleted_before_it_is_read_is_a_dead_letter_and_nothing_else(
    system: System, client: BaseClient
) -> None:
    key = "deleted-before.jpg"

    with system.frozen("classify"):
        system.put(key, PHOTOGRAPH.read_bytes())
        client.delete_object(Bucket=system.state.bucket, Key=key)
        _await_the_announcement(system, key)

    (failure,) = results_of(system, [key])
    letters = list(dead_letters(system.state.broker_url, subject=key))

    assert failure.type == FAILED
    assert data_of(failure)["error"]["code"] == "ObjectGone"
    assert len(letters) == 1


def test_of_an_overwritten_object_the_new_version_has_the_result(
    system: System, client: BaseClient
) -> None:
    key, photograph = "overwritten.jpg", PHOTOGRAPH.read_bytes()

    with system.frozen("classify"):
        system.put(key, photograph)
        newer = client.put_object(
            Bucket=system.state.bucket, Key=key, Body=photograph + b" of another day"
        )
        _await_the_announcement(system, key, times=2)

    wait_until(lambda: len(results_of(system, [key])) == 2, PATIENCE, "both outcomes")
    outcomes = {event.type: data_of(event) for event in results_of(system, [key])}

    assert outcomes[COMPLETED]["object"]["etag"] == newer["ETag"].strip('"')
    assert outcomes[FAILED]["error"]["code"] == "ObjectReplaced"


def test_a_multipart_upload_that_is_not_completed_is_no_event(
    system: System, client: BaseClient
) -> None:
    place = {"Bucket": system.state.bucket, "Key": "never-completed.jpg"}
    upload = client.create_multipart_upload(**place)
    client.upload_part(**place, UploadId=upload["UploadId"], PartNumber=1, Body=b"a part")
    system.put("after-the-part.jpg", PHOTOGRAPH.read_bytes())

    results_of(system, ["after-the-part.jpg"])

    assert not [e for e in system.journal("com.amazonaws.") if e.subject == place["Key"]]


def test_one_upload_that_two_notifications_announce_has_one_result(
    system: System, client: BaseClient
) -> None:
    bucket = system.state.bucket
    before = client.get_bucket_notification_configuration(Bucket=bucket)["TopicConfigurations"]
    (first,) = before
    second = {"Id": "second", "TopicArn": first["TopicArn"], "Events": ["s3:ObjectCreated:*"]}
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [first, second]}
    )

    absorbed = absorbed_by_the_receiver(system)

    system.put("announced-twice.jpg", PHOTOGRAPH.read_bytes())
    wait_until(
        lambda: absorbed_by_the_receiver(system) > absorbed, PATIENCE, "the second notification"
    )
    results = results_of(system, ["announced-twice.jpg"])

    assert [event.type for event in results] == [COMPLETED]
    assert (
        len([e for e in system.journal("com.amazonaws.") if e.subject == "announced-twice.jpg"])
        == 1
    )


def absorbed_by_the_receiver(system: System) -> float:
    """How many repeats it has absorbed since it was started."""
    words = Path(f"/proc/{system.pid('source')}/cmdline").read_text().split("\0")
    (port,) = [word.removeprefix("--port=") for word in words if word.startswith("--port=")]
    metrics = urllib3.request("GET", f"http://127.0.0.1:{port}/metrics", timeout=60).data.decode()
    (total,) = re.findall(r"^rookery_receiver_duplicate_total (\S+)$", metrics, re.MULTILINE)
    return float(total)


def _await_the_announcement(system: System, key: str, times: int = 1) -> None:
    """Wait until the broker has taken in what announces *key*."""
    wait_until(
        lambda: len([e for e in system.journal("com.amazonaws.") if e.subject == key]) >= times,
        PATIENCE,
        f"the announcement of {key}",
    )
