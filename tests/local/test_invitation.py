from pathlib import Path

import pytest

from rookery.function_folder import FunctionFolder
from rookery.local.access import S3Access
from rookery.local.invitation import invitation
from rookery.local.plan import Ports, plan

FUNCTION = FunctionFolder(name="birds", path=Path("functions/birds"))
CEPH = S3Access("http://127.0.0.1:7480", "us-east-1", "ACCESS", "hidden")


def invited(*, bucket="images", environ=None, ceph=None):
    ports = Ports(9000, 8081, (8080,), receiver=None if ceph is None else 8082)
    return invitation(
        plan((FUNCTION,), ports, bucket=bucket, home=Path("/home"), ceph=ceph), environ or {}
    )


def test_every_address_is_told():
    text = invited()
    for address in ("127.0.0.1:9000", "127.0.0.1:8081", "127.0.0.1:8080"):
        assert address in text


def test_the_embedded_bucket_is_reached_with_its_known_keys():
    text = invited(bucket="photos")
    assert "AWS_SECRET_ACCESS_KEY=rookery-local" in text
    assert "aws --endpoint-url http://127.0.0.1:9000 s3 cp photo.jpg s3://photos/" in text


def test_ceph_is_reached_with_keys_that_are_not_shown():
    text = invited(ceph=CEPH)
    assert 'eval "$(rookery ceph env)"\n  aws s3 cp photo.jpg s3://images/' in text
    assert "hidden" not in text


def test_another_bucket_is_named_to_the_environment():
    assert 'eval "$(rookery ceph env --bucket photos)"' in invited(bucket="photos", ceph=CEPH)


@pytest.mark.parametrize(
    ("home", "line"), [("/srv/a b", "export ROOKERY_HOME='/srv/a b'"), (None, None)]
)
def test_another_home_is_exported_first(home, line):
    text = invited(environ={} if home is None else {"ROOKERY_HOME": home})
    assert (line in text) if line else ("ROOKERY_HOME" not in text)
