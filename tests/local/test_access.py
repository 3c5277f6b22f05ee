import pytest

from rookery.errors import CephInvalid
from rookery.local.access import ACCESS_KEY, SECRET_KEY, S3Access, to_ceph, to_what_is_up
from rookery.local.state import LocalState
from rookery.storage.ceph.state import CephNode, node_folder, write_node


@pytest.fixture
def node(tmp_path):
    folder = node_folder(tmp_path)
    folder.mkdir()
    made = CephNode(folder, "fsid", 7480, (1, 2), "memstore", 1, "ACCESS", "secret")
    write_node(made)
    return made


def state(*, ceph):
    return LocalState(1, "images", "http://127.0.0.1:9000", "http://127.0.0.1:8081", {}, ceph=ceph)


def test_the_embedded_bucket_has_its_known_keys(tmp_path):
    access = to_what_is_up(state(ceph=False), tmp_path)
    assert (access.url, access.access_key) == ("http://127.0.0.1:9000", ACCESS_KEY)
    assert access.secret_key == SECRET_KEY


def test_the_bucket_in_ceph_has_the_nodes_keys(tmp_path, node):
    access = to_what_is_up(state(ceph=True), tmp_path)
    assert access == to_ceph(node)
    assert (access.url, access.secret_key) == (node.endpoint, "secret")


def test_a_ceph_that_was_deleted_under_rookery_up_is_an_error(tmp_path):
    with pytest.raises(CephInvalid, match="no longer"):
        to_what_is_up(state(ceph=True), tmp_path)


def test_a_secret_is_in_no_representation():
    assert "hidden" not in repr(S3Access("http://x", "r", "a", "hidden"))


def test_a_process_gets_all_it_needs():
    env = S3Access("http://x", "r", "a", "s").env("images")
    assert env == {
        "S3_ENABLED": "true",
        "S3_ENDPOINT_URL": "http://x",
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "s",
        "S3_BUCKET_NAME": "images",
        "S3_AWS_REGION": "r",
        # Emptied: what is set for another store would win over the keys above.
        "S3_ACCESS_KEY_FILE": "",
        "S3_SECRET_KEY_FILE": "",
        "S3_CA_FILE": "",
    }
