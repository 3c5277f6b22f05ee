import json
import stat

import pytest

from rookery.errors import CephInvalid
from rookery.storage.ceph.state import CephNode, node_folder, read_node, write_node


@pytest.fixture
def node(tmp_path):
    folder = node_folder(tmp_path)
    folder.mkdir()
    return CephNode(
        folder=folder,
        fsid="0f6ae2e0-0000-4000-8000-000000000001",
        port=7480,
        mon_ports=(20001, 20002),
        store="bluestore",
        store_bytes=1024**3,
        access_key="ACCESS",
        secret_key="s3cret/+value",
    )


def test_what_is_written_is_read(tmp_path, node):
    write_node(node)
    assert read_node(tmp_path) == node


def test_writing_again_replaces_it(tmp_path, node):
    write_node(node)
    write_node(node)
    assert read_node(tmp_path) == node


def test_only_the_owner_may_read_the_keys(node):
    write_node(node)
    assert stat.S_IMODE((node.folder / "node.json").stat().st_mode) == 0o600


def test_the_secret_is_in_no_representation(node):
    assert "s3cret" not in repr(node)


def test_the_endpoint_is_on_this_machine(node):
    assert node.endpoint == "http://127.0.0.1:7480"


def test_a_home_without_a_node_has_none(tmp_path):
    assert read_node(tmp_path) is None
    assert read_node(tmp_path / "nowhere") is None


def test_a_home_reached_through_a_link_has_the_same_node(tmp_path, node):
    write_node(node)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert read_node(link) == node


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"7", b"null", b"\xff", b"{}", b'{"mon_ports": 7}']
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, node, text):
    (node.folder / "node.json").write_bytes(text)
    with pytest.raises(CephInvalid, match=r"node\.json cannot be used.*rookery ceph down --delete"):
        read_node(tmp_path)


@pytest.mark.parametrize("change", [{"more": 1}, {"mon_ports": [1]}])
def test_a_file_of_another_shape_is_damaged(tmp_path, node, change):
    write_node(node)
    file = node.folder / "node.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(CephInvalid, match=r"node\.json cannot be used"):
        read_node(tmp_path)
