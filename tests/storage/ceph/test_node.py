"""A real node, by the command that users have."""

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from rookery.storage.ceph import daemons
from rookery.storage.ceph.daemons import DAEMONS, OSD, RGW
from rookery.storage.ceph.state import node_folder

pytestmark = pytest.mark.end_to_end

BIN = Path(sys.executable).parent


def put(client, key, body):
    client.create_bucket(Bucket="images")
    client.put_object(Bucket="images", Key=key, Body=body)


def get(client, key):
    return client.get_object(Bucket="images", Key=key)["Body"].read()


def kill_all(node):
    for daemon in DAEMONS:
        assert daemons.kill(node.folder, daemon)


def succeeded(done):
    assert done.returncode == 0, done.stderr
    return done


def test_a_node_on_disk_keeps_its_objects_whatever_ends_it(real_command, s3_of):
    succeeded(real_command("up", "--port=0", "--size-gib=2"))
    node = real_command.node()
    put(s3_of(node), "photo.jpg", b"pixels")

    again = succeeded(real_command("up"))
    assert f"is up already at {node.endpoint}" in again.stdout
    assert [len(daemons.pids(node.folder, daemon)) for daemon in DAEMONS] == [1, 1, 1]

    daemons.kill(node.folder, RGW)
    assert real_command("status").returncode == 3
    succeeded(real_command("up"))
    assert get(s3_of(node), "photo.jpg") == b"pixels"

    kill_all(node)
    succeeded(real_command("up"))
    assert get(s3_of(node), "photo.jpg") == b"pixels"

    succeeded(real_command("down"))
    assert not any(daemons.is_running(node.folder, daemon) for daemon in DAEMONS)
    assert "was not up" in succeeded(real_command("down")).stdout
    succeeded(real_command("up"))
    assert get(s3_of(node), "photo.jpg") == b"pixels"
    assert real_command.node() == node

    succeeded(real_command("down", "--delete", "--yes"))
    assert not node.folder.exists()


def test_a_node_in_memory_keeps_its_objects_over_down_alone(real_command, s3_of):
    succeeded(real_command("up", "--memory", "--port=0"))
    node = real_command.node()
    put(s3_of(node), "photo.jpg", b"pixels")

    succeeded(real_command("down"))
    succeeded(real_command("up"))
    assert get(s3_of(node), "photo.jpg") == b"pixels"

    daemons.kill(node.folder, OSD)
    said = succeeded(real_command("up")).stderr
    assert "its objects are gone" in said
    new = real_command.node()
    assert new.port == node.port
    with pytest.raises(ClientError, match="NoSuchBucket"):
        get(s3_of(new), "photo.jpg")


def test_status_describes_the_node(real_command):
    assert real_command("status").returncode == 3
    assert real_command("status", "--json").returncode == 3

    succeeded(real_command("up", "--memory", "--port=0"))
    said = succeeded(real_command("status")).stdout
    for daemon in DAEMONS:
        (pid,) = daemons.pids(real_command.node().folder, daemon)
        assert re.search(rf"^{daemon.name} +{daemon.program} +pid {pid}$", said, re.MULTILINE)
    assert "HEALTH_OK" in said
    assert real_command.node().endpoint in said


def test_two_at_once_make_one_node(real_command):
    command = (sys.executable, "-m", "rookery", "ceph", "up", "--memory", "--port=0")
    both = [
        subprocess.Popen(
            command, env=real_command.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=120)[0].decode() for process in both)

    assert [process.returncode for process in both] == [0, 0]
    assert sum("is up already" in text for text in said) == 1
    node = real_command.node()
    assert [len(daemons.pids(node.folder, daemon)) for daemon in DAEMONS] == [1, 1, 1]


def test_a_first_start_that_was_killed_is_made_good_by_the_next(real_command, wait_until):
    folder = node_folder(real_command.home)
    first = subprocess.Popen(
        (sys.executable, "-m", "rookery", "ceph", "up", "--memory", "--port=0"),
        env=real_command.env,
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: bool(daemons.pids(folder, daemons.MON)), "the monitor")
    first.kill()
    first.wait()
    assert not (folder / "node.json").exists()
    assert real_command("env").returncode == 78

    said = succeeded(real_command("up", "--memory", "--port=0")).stderr

    assert "did not get to its end" in said
    assert [len(daemons.pids(folder, daemon)) for daemon in DAEMONS] == [1, 1, 1]


def test_a_monitor_whose_ports_are_taken_gets_others(real_command, s3_of):
    succeeded(real_command("up", "--memory", "--port=0"))
    node = real_command.node()
    put(s3_of(node), "photo.jpg", b"pixels")
    succeeded(real_command("down"))

    with socket.create_server(("127.0.0.1", node.mon_ports[0])):
        succeeded(real_command("up"))

    assert real_command.node().mon_ports != node.mon_ports
    assert get(s3_of(node), "photo.jpg") == b"pixels"


def test_no_secret_is_on_a_command_line_or_in_a_log(real_command):
    seen = set()
    stop = threading.Event()

    def look():
        while not stop.is_set():
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(entry.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        said = succeeded(real_command("up", "--memory", "--port=0"))
        succeeded(real_command("status"))
        succeeded(real_command("down"))
    finally:
        stop.set()
        watcher.join()

    node = real_command.node()
    secrets = [node.secret_key, *re.findall(r"key = (\S+)", (node.folder / "keyring").read_text())]
    assert len(secrets) == 5
    lines = b"\n".join(seen).decode(errors="replace")
    assert "radosgw-admin" in lines
    logs = "".join(file.read_text() for file in (node.folder / "logs").iterdir())
    assert logs
    for secret in secrets:
        assert secret not in lines
        assert secret not in logs
        assert secret not in said.stdout + said.stderr


def test_the_aws_command_works_after_one_line(shared_command):
    program = """
        eval "$(python -m rookery ceph env)"
        echo pixels > photo.jpg
        aws s3 mb s3://images && aws s3 cp --quiet photo.jpg s3://images/ && aws s3 ls s3://images
    """
    done = subprocess.run(
        ("sh", "-ec", program),
        env={**shared_command.env, "PATH": f"{BIN}:{os.environ['PATH']}"},
        cwd=shared_command.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "photo.jpg" in done.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_can_have_a_node(real_command, tmp_path):
    # A child of this process, since another user may not be able to read this Python.
    home = tmp_path / "theirs"
    home.mkdir()
    os.chown(home, 65534, 65534)
    # pytest's own folders, which may be one deeper in a worker.
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)
    program = f"""
import os
from pathlib import Path
import encodings.ascii, encodings.idna
from rookery.storage.ceph import status
from rookery.storage.ceph.node import Told, Wanted, bring_up, take_down
home = Path({str(home)!r})
told = Told(print, print)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    node = bring_up(home, Wanted(port=0, store="memstore"), told).node
    print("up", status.status_of(node).up)
finally:
    take_down(home, delete=True, told=told)
"""
    done = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=False, timeout=120,
        env=real_command.env, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "up True" in done.stdout


# --- refusals ------------------------------------------------------------------------------


def test_without_ceph_the_packages_are_named(ceph_command, tmp_path):
    done = ceph_command("up", PATH=str(tmp_path))
    assert done.returncode == 78
    assert "ceph-mon ceph-osd radosgw" in done.stderr
    assert not ceph_command.home.exists()


def test_a_taken_port_is_one_clear_message(real_command):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        done = real_command("up", "--memory", f"--port={port}")
    assert done.returncode == 78
    assert f"port {port} for Ceph's S3 is taken" in done.stderr
    assert not node_folder(real_command.home).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--size-gib=1",), "its size is"),
        (("--port=1",), "rookery ceph down"),
    ],
)
def test_another_node_than_the_one_that_is_up_is_refused(shared_command, arguments, said):
    done = shared_command("up", *arguments)
    assert done.returncode == 78
    assert said in done.stderr


def test_a_node_is_not_deleted_without_a_yes(real_command):
    folder = node_folder(real_command.home)
    folder.mkdir(parents=True)
    done = real_command("down", "--delete")
    assert done.returncode == 1
    assert folder.exists()


def test_a_folder_of_somebody_else_is_left_alone(real_command):
    folder = node_folder(real_command.home)
    folder.mkdir(parents=True)
    (folder / "thesis.txt").touch()
    for arguments in (("up", "--port=0"), ("down", "--delete", "--yes")):
        done = real_command(*arguments)
        assert done.returncode == 78
        assert "no rookery made" in done.stderr
    (folder / "thesis.txt").unlink()  # it is still there


def test_env_without_a_node_says_how_to_make_one(ceph_command):
    done = ceph_command("env")
    assert done.returncode == 78
    assert "rookery ceph up" in done.stderr
