import subprocess
from pathlib import Path

import pytest

from rookery.storage.ceph.exports import shell_exports, variables
from rookery.storage.ceph.state import CephNode


def node(secret_key):
    return CephNode(Path("/ceph"), "fsid", 7480, (1, 2), "memstore", 1, "ACCESS", secret_key)


@pytest.mark.parametrize("secret", ["plain", "a b", "it's", 'q"uo`te', "$HOME", "a\\b", "*", "é"])
def test_a_shell_gets_the_values_as_they_are(secret):
    program = shell_exports(node(secret), bucket="my images") + "\nenv -0"
    said = subprocess.run(
        ("sh", "-c", program), env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    ).stdout
    found = dict(line.split("=", 1) for line in said.decode().split("\0") if line)
    expected = variables(node(secret), bucket="my images")
    assert {name: found.get(name) for name in expected} == expected


def test_what_another_store_needs_is_forgotten():
    program = shell_exports(node("secret"), bucket="images") + "\nenv"
    theirs = {"AWS_SESSION_TOKEN": "theirs", "S3_ACCESS_KEY_FILE": "theirs"}
    said = subprocess.run(
        ("sh", "-eu", "-c", program),
        env={"PATH": "/usr/bin:/bin", **theirs},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert "theirs" not in said


def test_rookery_and_aws_get_the_same_keys_and_address():
    given = variables(node("secret"), bucket="images")
    assert given["S3_ENDPOINT_URL"] == given["AWS_ENDPOINT_URL"] == "http://127.0.0.1:7480"
    assert given["S3_ACCESS_KEY"] == given["AWS_ACCESS_KEY_ID"] == "ACCESS"
    assert given["S3_SECRET_KEY"] == given["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert given["S3_AWS_REGION"] == given["AWS_DEFAULT_REGION"]
    assert (given["S3_ENABLED"], given["S3_BUCKET_NAME"]) == ("true", "images")
